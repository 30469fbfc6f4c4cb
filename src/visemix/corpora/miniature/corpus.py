"""Write the embedded corpus in LRW's folder layout, with the truth beside it.

    root/lipread_mp4/WORD/{train,val,test}/WORD_00001.mp4 and .txt
    root/truth/WORD/{train,val,test}/WORD_00001.npz
    root/speakers.csv                                clip_id, speaker
    root/portraits/portrait-0000.png and portraits.csv, root/truth/portraits/portrait-0000.npz
    root/corpus.json                                 what it was made from; written last

A clip depends on the seed, its split, word and number, and on nothing else: not on the other
words, the number of processes, or what was made before. No speaker occurs in two splits, and none
of the portraits' people in any clip.
"""

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

from visemix.corpora.miniature.clip import IMAGE_SIZE, make_clip, make_portrait
from visemix.corpora.miniature.sentences import CLIP_SECONDS
from visemix.corpora.miniature.speakers import random_speaker
from visemix.heads.renderer import Renderer
from visemix.media import write_clip
from visemix.run.atomic import atomic_path, write_json
from visemix.run.processes import ordered_map
from visemix.run.provenance import code_digest

FINISHED = "corpus.json"  # written last
MARK = ".made_from.json"  # written first: what the clips here were made from
SPLITS = ("train", "val", "test")
_SPEAKER, _CLIP, _CHOICE, _PORTRAIT_PERSON, _PORTRAIT = range(1, 6)  # streams of random numbers


class CorpusError(RuntimeError):
    """The corpus cannot be written as asked; the message says what to do."""


@dataclass(frozen=True)
class ClipJob:
    """One clip to be made."""

    root: Path
    seed: int
    split: str
    word: str  # upper case
    number: int  # from 1
    speakers_per_split: int | None

    @property
    def clip_id(self) -> str:
        """For example 'train/ABOUT_00001'."""
        return f"{self.split}/{self.word}_{self.number:05d}"

    @property
    def key(self) -> list[int]:
        """What this clip's random numbers are keyed by, besides the seed."""
        return [SPLITS.index(self.split), self.number, zlib.crc32(self.word.encode())]

    @property
    def speaker(self) -> tuple[str, list[int]]:
        """The speaker's name, and the seed it is drawn from."""
        split = SPLITS.index(self.split)
        if self.speakers_per_split is None:
            name = f"{self.split}-{self.word}-{self.number:05d}"
            return name, [self.seed, _SPEAKER, *self.key]
        choice = np.random.default_rng([self.seed, _CHOICE, *self.key])
        chosen = int(choice.integers(self.speakers_per_split))
        return f"{self.split}-{chosen:05d}", [self.seed, _SPEAKER, split, chosen]

    @property
    def media(self) -> Path:
        return self.root / "lipread_mp4" / self.word / f"{self.clip_id}.mp4"

    @property
    def truth(self) -> Path:
        return self.root / "truth" / self.word / f"{self.clip_id}.npz"

    @property
    def files(self) -> tuple[Path, ...]:
        return self.media, self.media.with_suffix(".txt"), self.truth

    def make(self) -> None:
        """Write the clip's files, the video last."""
        renderer = _renderer()
        speaker = random_speaker(np.random.default_rng(self.speaker[1]), renderer.head)
        rng = np.random.default_rng([self.seed, _CLIP, *self.key])
        clip = make_clip(renderer, speaker, self.word.lower(), rng)
        start, end = clip.truth["word_span"]
        _write_truth(self.truth, clip.truth)
        with atomic_path(self.media.with_suffix(".txt")) as temporary:
            temporary.write_text(metadata(end - start))
        write_clip(self.media, clip.frames, clip.sound)


@dataclass(frozen=True)
class PortraitJob:
    """One still of a person who speaks in no clip."""

    root: Path
    seed: int
    number: int  # from 0

    @property
    def clip_id(self) -> str:
        """For example 'portrait-0000'."""
        return f"portrait-{self.number:04d}"

    @property
    def picture(self) -> Path:
        return self.root / "portraits" / f"{self.clip_id}.png"

    @property
    def truth(self) -> Path:
        return self.root / "truth" / "portraits" / f"{self.clip_id}.npz"

    @property
    def files(self) -> tuple[Path, ...]:
        return self.picture, self.truth

    def make(self) -> None:
        """Write the portrait's files, the picture last."""
        renderer = _renderer()
        person = np.random.default_rng([self.seed, _PORTRAIT_PERSON, self.number])
        speaker = random_speaker(person, renderer.head)
        rng = np.random.default_rng([self.seed, _PORTRAIT, self.number])
        picture, truth = make_portrait(renderer, speaker, rng)
        _write_truth(self.truth, truth)
        with atomic_path(self.picture) as temporary:
            cv2.imwrite(str(temporary), picture[..., ::-1])


def metadata(duration: float) -> str:
    """LRW's lines beside a clip. Readers take the word's length from the fifth."""
    return (
        "Disk reference: 0\n"
        "Channel: EMBEDDED\n"
        "Program start: 0\n"
        f"Clip start: 0.00  Clip end: {CLIP_SECONDS:.2f}\n"
        f"Duration: {duration:.2f} seconds\n"
    )


def make_corpus(
    root: str | os.PathLike,
    words: Sequence[str],
    clips_per_word: Mapping[str, int],
    portraits: int = 0,
    seed: int = 0,
    workers: int = 1,
    speakers_per_split: int | None = None,
) -> None:
    """Make the corpus under `root`; what is there already, whole, is kept.

    Clips that were made with another seed or by other code, and clips that are not asked for, are
    removed: afterwards the folder holds exactly this corpus.

    clips_per_word gives the number of clips of each word by split ('train', 'val', 'test').
    speakers_per_split: None gives every clip a speaker of its own. Work is spread over `workers`
    processes of one thread each; equal arguments give equal bytes for any number of them. The
    calling script needs the usual `if __name__ == "__main__":`, since processes are spawned.

    Raises CorpusError if `root` holds clips that were not made here, or if clips failed (all
    others are made first).
    """
    root = Path(root)
    clips, stills = _plan(root, words, clips_per_word, portraits, seed, speakers_per_split)
    made_from = dict(seed=seed, size=IMAGE_SIZE, speakers_per_split=speakers_per_split)
    (root / FINISHED).unlink(missing_ok=True)
    _claim_root(root, dict(made_from, code=code_digest(__name__)))
    jobs = [*clips, *stills]
    _remove_others(root, jobs)
    # each file is only ever there whole
    _run([job for job in jobs if not all(path.is_file() for path in job.files)], workers)
    speakers = [(job.clip_id, job.speaker[0]) for job in clips]
    _write_table(root / "speakers.csv", "clip_id,speaker", speakers)
    pictures = [(job.clip_id, job.picture.name, job.clip_id) for job in stills]
    _write_table(root / "portraits" / "portraits.csv", "portrait_id,file,speaker", pictures)
    counts = dict(clips_per_word=dict(clips_per_word), portraits=portraits)
    write_json(root / FINISHED, dict(made_from, words=sorted(w.upper() for w in words), **counts))


def _plan(root, words, clips_per_word, portraits, seed, speakers_per_split):
    """All clip and portrait jobs, sorted."""
    unknown = set(clips_per_word) - set(SPLITS)
    if unknown:
        raise CorpusError(f"unknown splits {sorted(unknown)}; use {', '.join(SPLITS)}")
    names = sorted({word.upper() for word in words})
    if len(names) != len(words):
        raise CorpusError("the word list is empty or names a word twice; give each word once")
    clips = [
        ClipJob(root, seed, split, word, number, speakers_per_split)
        for split in SPLITS
        for word in names
        for number in range(1, clips_per_word.get(split, 0) + 1)
    ]
    return clips, [PortraitJob(root, seed, number) for number in range(portraits)]


def _claim_root(root: Path, made_from: dict) -> None:
    """Keep what was made from the same parameters and code, remove what was made from others.

    Only a folder that carries this module's mark is ever emptied; CorpusError for other folders
    that hold clips.
    """
    mark = root / MARK
    if mark.is_file():
        if json.loads(mark.read_text()) == made_from:
            return
        for path in _all_files(root):
            path.unlink()
    elif _all_files(root):
        raise CorpusError(
            f"{root}: holds clips that were not made here (no {MARK}); give another folder"
        )
    write_json(mark, made_from)


def _remove_others(root: Path, jobs: list) -> None:
    """Remove finished and half-written files of clips and portraits that are not asked for."""
    wanted = {path for job in jobs for path in job.files}
    for path in set(_all_files(root)) - wanted:
        path.unlink()


def _all_files(root: Path) -> list[Path]:
    """All files of clips, truth and portraits, also half-written ones, but no other pictures."""
    patterns = ("lipread_mp4/*/*/*", "truth/**/*", "portraits/portrait-*", "portraits/.portrait-*")
    return [path for pattern in patterns for path in root.glob(pattern) if path.is_file()]


def _run(jobs: list, workers: int) -> None:
    """Make all jobs in processes of one thread each; CorpusError names those that failed."""
    made = ordered_map(_make, jobs, min(workers, max(1, len(jobs))), on_crash=_report_crash)
    progress = tqdm(made, total=len(jobs), desc="corpus", unit="clip", disable=None)
    failed = [failure for failure in progress if failure]
    if failed:
        shown = "\n".join(failed[:20])
        raise CorpusError(
            f"{len(failed)} of {len(jobs)} clips failed (all others are made):\n{shown}"
        )


def _make(job) -> str | None:
    """Make one clip or portrait; what went wrong, if anything did."""
    cv2.setNumThreads(1)
    try:
        with _threads().limit(limits=1):
            job.make()
    except Exception as error:
        return f"{job.clip_id}: {type(error).__name__}: {error}"
    return None


def _report_crash(job) -> str:
    return f"{job.clip_id}: the process that made it died; look at the memory left on the machine"


@cache
def _threads() -> ThreadpoolController:
    """Control over BLAS: with one thread it gives the same bits everywhere."""
    return ThreadpoolController()


@cache
def _renderer() -> Renderer:
    """One renderer a process."""
    return Renderer()


def _write_truth(path: Path, truth: dict[str, np.ndarray]) -> None:
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **truth)  # type: ignore[arg-type]  # numpy's own stub


def _write_table(path: Path, header: str, rows: Sequence[tuple[str, ...]]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
