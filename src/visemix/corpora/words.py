"""Word clips in LRW's layout, cut from a corpus of sentences whose words have times.

    python -m visemix.corpora.words grid SENTENCES WORDS --workers 2

writes WORDS/lipread_mp4/<WORD>/<split>/<WORD>_00001.{mp4,txt}, which `corpora.lrw.scan` reads:
29 frames at 25 fps with the word in their middle, and its length in the line `Duration:`. Pictures
keep the size of the sentence clip (an odd last row or column is cut off, H.264 needs even sizes).
The split is the sentence's. WORDS/speakers.csv has who speaks, WORDS/cuts.csv where each clip
comes from, and of every word that gave no clip, why.

Near the ends of a sentence the 29 frames reach beyond it. Up to `max_repeated` frames are then made
by repeating the first or last frame, with silence; a word that would need more is left out, since a
picture that stands still shows where in the sentence the word was, which LRW never does.
"""

import argparse
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from visemix.corpora import grid, lrs
from visemix.corpora.lrw import FPS, FRAMES
from visemix.corpora.sentences import TimedWord, Transcript
from visemix.media import SAMPLE_RATE, MediaError, cut_sound, read_clip, write_clip
from visemix.run.atomic import atomic_path
from visemix.run.processes import ordered_map

# name -> (scan, read_transcript) of corpora of sentences
CORPORA: dict[str, tuple[Callable[..., pd.DataFrame], Callable[..., Transcript]]] = {
    "grid": (grid.scan, grid.read_transcript),
    "lrs2": (partial(lrs.scan, corpus="lrs2"), lrs.read_transcript),
    "lrs3": (partial(lrs.scan, corpus="lrs3"), lrs.read_transcript),
}
_SAMPLES = SAMPLE_RATE // int(FPS)  # of sound in a frame


@dataclass(frozen=True)
class Cut:
    """A word of a sentence and the clip to be made of it; `clip_id` is empty where none is."""

    clip_id: str
    label: str
    split: str
    speaker: str
    source: str  # clip_id of the sentence
    media: str
    sha256: str  # of the sentence's file
    n_frames: int  # of the sentence
    word_start_s: float  # in the sentence
    word_end_s: float
    first_frame: int  # of the 29, counted in the sentence; negative: before its beginning
    repeated: int  # frames of the 29 that lie outside the sentence
    reason: str = ""


def cut_words(
    manifest: pd.DataFrame,
    root: str | os.PathLike,
    read_transcript: Callable[[Path, str], Transcript],
    folder: str | os.PathLike,
    words: Collection[str] | None = None,
    min_letters: int = 3,
    max_repeated: int = 4,
    workers: int = 1,
) -> pd.DataFrame:
    """Cut the words of the usable clips of `manifest` into `folder`; returns WORDS/cuts.csv.

    `manifest` is of the corpus under `root`, `read_transcript` the function of its module. `words`
    to cut, upper case; None: all of at least `min_letters` letters (LRW's have five or more). Clips
    are numbered by word and split in the order of the sentences' clip_ids. A clip that is there
    already, from the same frames of the same file, is kept, so an interrupted run goes on.

    Raises ValueError where no word has times, a word of `words` is never said, a speaker is in two
    splits, or `folder` holds clips of another cut.
    """
    root, folder = Path(root), Path(folder)
    sentences = manifest[manifest["status"] == "ok"].sort_values("clip_id")
    _check_speakers(sentences)
    wanted = None if words is None else {word.upper() for word in words}
    cuts = _plan(sentences, root, read_transcript, wanted, min_letters, max_repeated)
    _check_plan(cuts, wanted, folder)
    by_sentence = [list(group) for _, group in groupby(cuts, key=attrgetter("source"))]
    done = ordered_map(partial(_cut_sentence, root, folder), by_sentence, workers)
    progress = tqdm(done, "cut", len(by_sentence), unit="sentence", disable=None)
    table = pd.DataFrame([asdict(cut) for chunk in progress for cut in chunk])
    with atomic_path(folder / "cuts.csv") as temporary:
        table.to_csv(temporary, index=False)
    made = table.loc[table["reason"] == "", ["clip_id", "speaker"]].sort_values("clip_id")
    with atomic_path(folder / "speakers.csv") as temporary:
        made.to_csv(temporary, index=False)
    return table


def hold_out(manifest: pd.DataFrame, proportion: float, seed: int = 0) -> pd.DataFrame:
    """The manifest with about that proportion of the training speakers in the split val instead.

    For corpora without a validation split. Whose speaker is unknown stays in training. Who is held
    out depends on the speaker's name and the seed only. Raises ValueError unless it is in [0, 1).
    """
    if not 0 <= proportion < 1:
        raise ValueError(f"the proportion to hold out is {proportion}; give 0 or more, below 1")
    limit = proportion * 2**32
    held = manifest["speaker"].map(lambda name: zlib.crc32(f"{seed} {name}".encode()) < limit)
    moved = held & (manifest["speaker"] != "") & (manifest["split"] == "train")
    return manifest.assign(split=manifest["split"].mask(moved, "val"))


def window(start: float, end: float) -> int:
    """First of the 29 frames whose middle is nearest to that of a word at start..end (s)."""
    return round((start + end) / 2 * FPS - FRAMES / 2)


def take(frames: np.ndarray, sound: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """29 frames (29, H, W, 3) from `first` on with their sound (18560,) int16 at 16 kHz.

    Beyond the ends the outermost frame is repeated and the sound is silent.
    """
    numbers = np.clip(np.arange(first, first + FRAMES), 0, len(frames) - 1)
    height, width = (size - size % 2 for size in frames.shape[1:3])
    piece = cut_sound(sound, first * _SAMPLES, FRAMES * _SAMPLES)
    return frames[numbers, :height, :width], piece


def _plan(sentences, root, read_transcript, wanted, min_letters, max_repeated) -> list[Cut]:
    """The cuts in the order of sentences and words, numbered; decodes nothing."""
    cuts: list[Cut] = []
    numbers: Counter[tuple[str, str]] = Counter()
    for row in sentences.itertuples():
        for word in read_transcript(root, row.media).words:
            label = word.word.upper()
            if label not in wanted if wanted is not None else len(label) < min_letters:
                continue
            first = window(word.start, word.end)
            repeated = max(-first, 0) + max(first + FRAMES - row.n_frames, 0)
            reason = _unfit(word, row.n_frames, repeated, max_repeated)
            clip_id = ""
            if not reason:
                numbers[label, row.split] += 1
                clip_id = f"{row.split}/{label}_{numbers[label, row.split]:05d}"
            times = word.start, word.end, first, repeated, reason
            said = label, row.split, row.speaker, row.clip_id, row.media, row.sha256, row.n_frames
            cuts.append(Cut(clip_id, *said, *times))
    return cuts


def _unfit(word: TimedWord, n_frames: int, repeated: int, max_repeated: int) -> str:
    """Why no clip is made of a word; empty where one is."""
    if not word.word.replace("'", "").isalnum():  # it becomes the name of a folder
        return "not a word of letters, digits and apostrophes"
    if word.end - word.start > FRAMES / FPS:
        return f"the word is longer than {FRAMES / FPS} seconds"
    if word.end > n_frames / FPS:
        return f"the word ends after the sentence's {n_frames} frames"
    if repeated > max_repeated:
        return f"{repeated} of {FRAMES} frames lie outside the sentence, allowed are {max_repeated}"
    return ""


def _check_speakers(sentences: pd.DataFrame) -> None:
    known = sentences[sentences["speaker"] != ""]
    splits = known.groupby("speaker")["split"].nunique()
    if several := sorted(splits.index[splits > 1]):
        raise ValueError(
            f"speaker {', '.join(several[:3])} is in more than one split; word clips would test on "
            "people seen in training: split the sentences by speaker"
        )


def _check_plan(cuts: list[Cut], wanted: set[str] | None, folder: Path) -> None:
    if not cuts:
        raise ValueError("no such word has times in the usable clips; are the times in place?")
    if absent := sorted((wanted or set()) - {cut.label for cut in cuts}):
        raise ValueError(f"the word {', '.join(absent)} is never said; correct the list of words")
    planned = {_clip_path(folder, cut) for cut in cuts if cut.clip_id}
    found = {p for p in folder.glob("lipread_mp4/*/*/*.mp4") if not p.name.startswith(".")}
    if others := sorted(found - planned):
        raise ValueError(
            f"{folder} holds clips of another cut, such as {others[0].name}; empty it, or take "
            "another folder"
        )


def _clip_path(folder: Path, cut: Cut) -> Path:
    stem = cut.clip_id.split("/")[1]
    return folder / "lipread_mp4" / cut.label / cut.split / f"{stem}.mp4"


def _details(cut: Cut) -> str:
    """The .txt beside a clip: five lines as LRW has them, the length of the word in the last."""
    return (
        f"Source: {cut.source}\nSource sha256: {cut.sha256}\n"
        f"Frames: {cut.first_frame}..{cut.first_frame + FRAMES - 1}\n"
        f"Repeated frames: {cut.repeated}\n"
        f"Duration: {cut.word_end_s - cut.word_start_s:.3f} seconds\n"
    )


def _cut_sentence(root: Path, folder: Path, cuts: list[Cut]) -> list[Cut]:
    """Write the clips of one sentence; cuts of a sentence that cannot be decoded get a reason."""
    missing = [cut for cut in cuts if cut.clip_id and not _is_there(folder, cut)]
    if not missing:
        return cuts
    for cut in missing:  # what lies there is half a clip, or of another sentence
        for suffix in (".txt", ".mp4"):
            _clip_path(folder, cut).with_suffix(suffix).unlink(missing_ok=True)
    path = root / missing[0].media
    try:
        clip = read_clip(path, sound=True)
    except MediaError as error:
        return _rejected(cuts, missing, str(error).replace(str(path), missing[0].media))
    if len(clip.frames) != missing[0].n_frames:
        found, known = len(clip.frames), missing[0].n_frames
        return _rejected(cuts, missing, f"{found} frames decoded, the manifest says {known}")
    for cut in missing:
        target = _clip_path(folder, cut)
        frames, sound = take(clip.frames, clip.sound, cut.first_frame)
        write_clip(target, frames, sound)
        with atomic_path(target.with_suffix(".txt")) as temporary:  # last: it says all is there
            temporary.write_text(_details(cut), encoding="utf-8")
    return cuts


def _is_there(folder: Path, cut: Cut) -> bool:
    path = _clip_path(folder, cut)
    details = path.with_suffix(".txt")
    if not (path.is_file() and details.is_file()):
        return False
    return details.read_text(encoding="utf-8", errors="replace") == _details(cut)


def _rejected(cuts: list[Cut], failed: list[Cut], reason: str) -> list[Cut]:
    return [replace(cut, clip_id="", reason=reason) if cut in failed else cut for cut in cuts]


def main(arguments: list[str] | None = None) -> int:
    """Scan a corpus of sentences, cut its words, print what came of it; 1 with a message if not."""
    parser = argparse.ArgumentParser(prog="python -m visemix.corpora.words", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("sentences", type=Path, help="root of the corpus of sentences")
    parser.add_argument("folder", type=Path, help="where lipread_mp4 is made")
    parser.add_argument("--words", nargs="+", help="default: all that are long enough")
    parser.add_argument("--min-letters", type=int, default=3, help="of words (default: 3)")
    parser.add_argument("--max-repeated", type=int, default=4, help="frames of 29 (default: 4)")
    parser.add_argument("--test-speakers", nargs="+", help="GRID only; default: s1 s2 s20 s22")
    parser.add_argument("--val-speakers", nargs="+", help="GRID only; default: s3 s4")
    parser.add_argument(
        "--val-proportion", "--val-share", type=float, default=0.0,
        help="of the training speakers, to use for validation (LRS3 has no such split)",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=1, help="processes")
    chosen = parser.parse_args(arguments)
    given = {name: getattr(chosen, name) for name in ("test_speakers", "val_speakers")}
    given = {name: value for name, value in given.items() if value is not None}
    if given and chosen.corpus != "grid":
        parser.error(f"--{next(iter(given)).replace('_', '-')} is for grid only")
    scan, read_transcript = CORPORA[chosen.corpus]
    try:
        manifest = scan(chosen.sentences, workers=chosen.workers, **given)
        manifest = hold_out(manifest, chosen.val_proportion)
        table = cut_words(
            manifest, chosen.sentences, read_transcript, chosen.folder, chosen.words,
            chosen.min_letters, chosen.max_repeated, chosen.workers,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        print(f"visemix.corpora.words: {error}", file=sys.stderr)
        return 1
    _print_summary(manifest, table)
    return 0


def _print_summary(manifest: pd.DataFrame, table: pd.DataFrame) -> None:
    made = table[table["reason"] == ""]
    clips = ", ".join(f"{split} {n:,}" for split, n in made["split"].value_counts().items())
    print(f"{len(made):,} clips of {made['label'].nunique():,} words ({clips})")
    for what, reasons in (("sentences", manifest["reason"]), ("words", table["reason"])):
        for reason, count in reasons[reasons != ""].value_counts().head(10).items():
            print(f"{count:,} {what} left out: {reason}")


if __name__ == "__main__":
    sys.exit(main())
