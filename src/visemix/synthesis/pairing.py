"""Which portrait speaks which sound: random pairing as in LipGen, section II-A.

Every portrait with a detectable face gets five distinct sounds of the training split. A sound is
used again, by another portrait, only after all were used once. Sounds are taken label by label, so
that labels are as equal in number as the corpus allows. Where a corpus of faces tells who is who,
`images_per_person` pictures of each person are taken, one if nothing else is said, and the person
is the identity. No clip, speaker or file of the validation and test splits may reach a synthetic
set: that is checked here, and again when clips are made.
"""

import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pandas as pd

from visemix.corpora.portrait_sources import PICTURE_TYPES, Portrait, as_sources, list_portraits
from visemix.corpora.portraits import look_at
from visemix.faces.pictures import PictureError, find_face, read_picture
from visemix.faces.retinaface import RetinaFace
from visemix.run.atomic import atomic_path, sha256_file
from visemix.run.processes import ordered_map

TRAIN = "train"
# source: clip_id of the sound; portrait: identity; picture_source: number of the entry of
# synthesis.portraits, from 0, under whose root the path `picture` is
PAIR_COLUMNS = (
    "clip_id", "label", "source", "portrait", "picture", "picture_sha256", "picture_source", "seed",
)  # fmt: skip
_NUMBERS = ("picture_source", "seed")
EXCLUDED_COLUMNS = ("portrait", "picture", "reason")


class PairingError(ValueError):
    """The pairs that were asked for cannot be made; the message says what to change."""


class LeakError(ValueError):
    """Something of the validation or test split would reach a synthetic set."""


@dataclass(frozen=True)
class Person:
    """Somebody whose pictures may become portraits."""

    source: str  # of portrait_sources
    picture_source: int
    root: Path
    identity: str
    pictures: tuple[str, ...]  # relative to the root, in the order in which they are tried
    images: int = 1  # how many of them at most become portraits

    @property
    def names(self) -> list[str]:
        """A name for each portrait; they are numbered where a person may have several."""
        if self.images == 1:
            return [self.identity]
        return [f"{self.identity}-{n}" for n in range(1, self.possible + 1)]

    @property
    def possible(self) -> int:
        return min(self.images, len(self.pictures))


def make_pairs(
    manifest: pd.DataFrame,
    portraits: str | PathLike | Sequence[dict],
    clips: int | None = None,
    clips_per_portrait: int = 5,
    seed: int = 0,
    generator: str = "portrait",
    workers: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pairs (PAIR_COLUMNS, sorted by clip_id) and excluded portraits (EXCLUDED_COLUMNS).

    portraits: a folder, or sources {source, root, images_per_person} (see
    portrait_sources.as_sources). A person of a corpus is called "<source>-<identity>"; of a folder
    each picture is an identity of its own, by its path. That one person is in two corpora is not
    known. clips: how many pairs; None takes all portraits. Portraits are taken in random order, and
    only as many are looked at as the clips need; the last one may get fewer sounds. The same seed
    gives the same pairs whatever `workers`. Raises LeakError, PairingError (too many clips asked,
    before a picture is opened if they are too many even with a face in each; too few sounds; two
    portraits of one name), FileNotFoundError (no portraits).
    """
    check_manifest_leaks(manifest)
    if clips_per_portrait < 1 or (clips is not None and clips < 1):
        raise PairingError(
            f"clips is {clips}, clips_per_portrait {clips_per_portrait}; both must be 1 or more"
        )
    sounds = training_sounds(manifest)
    if len(sounds) < clips_per_portrait:
        raise PairingError(
            f"{len(sounds)} accepted training clips, but each portrait needs {clips_per_portrait} "
            "distinct ones; add clips or lower clips_per_portrait"
        )
    rng = np.random.default_rng([seed, zlib.crc32(b"pairing")])
    wanted = None if clips is None else -(-clips // clips_per_portrait)
    people = list_people(as_sources(portraits), rng)
    remedy = (
        f"({clips_per_portrait} each); add a source to synthesis.portraits, raise its "
        "images_per_person, or lower synthesis.clips"
    )
    if wanted is not None and (possible := sum(p.possible for p in people)) < wanted:
        raise PairingError(
            f"{clips} clips asked, but {_counted(people)} give at most "
            f"{possible * clips_per_portrait} {remedy}"
        )
    usable, excluded = choose_portraits(people, wanted, rng, workers)
    if wanted is not None and len(usable) < wanted:
        raise PairingError(
            f"{clips} clips asked, but {len(usable)} portraits with a face, of "
            f"{_counted(people)}, give at most {len(usable) * clips_per_portrait} {remedy}"
        )
    total = len(usable) * clips_per_portrait if clips is None else clips
    pairs = _give(usable, sounds, total, clips_per_portrait, rng, generator, seed)
    check_pairs(pairs, manifest)
    return pairs, excluded


def training_sounds(manifest: pd.DataFrame) -> pd.DataFrame:
    """The clips whose sound may be used: accepted, of the training split; sorted by clip_id."""
    allowed = (manifest["split"] == TRAIN) & (manifest["status"] == "ok")
    return manifest[allowed].sort_values("clip_id", ignore_index=True)


def check_manifest_leaks(manifest: pd.DataFrame) -> None:
    """Raise LeakError if a speaker or a file is in the training split and in another one too.

    Speakers that are not known (empty) cannot be checked; files always are, by their sha256.
    """
    train = manifest["split"] == TRAIN
    for column, what in (("speaker", "speaker"), ("sha256", "file with sha256")):
        shared = (set(manifest[column][train]) & set(manifest[column][~train])) - {""}
        if shared:
            one = min(shared)
            where = manifest["clip_id"][manifest[column] == one].tolist()
            raise LeakError(
                f"{len(shared)} {column} values are in the training split and in another one, such "
                f"as the {what} {one} ({', '.join(where[:4])}); split the corpus anew"
            )


def check_pairs(pairs: pd.DataFrame, manifest: pd.DataFrame) -> None:
    """Raise LeakError unless every pair uses an accepted training clip of a training speaker.

    Also refuses a portrait that is itself a speaker of the validation or test split, and one that
    would speak its own words.
    """
    check_manifest_leaks(manifest)
    known = manifest.set_index("clip_id")
    if unknown := sorted(set(pairs["source"]) - set(known.index)):
        raise LeakError(f"the sound {unknown[0]} is not in the manifest; pair anew")
    sources = known.loc[pairs["source"]]
    for problem, wrong in (
        ("is not of the training split", sources["split"] != TRAIN),
        ("was rejected", sources["status"] != "ok"),
        ("has another label", sources["label"].to_numpy() != pairs["label"].to_numpy()),
        ("is the portrait's own", sources["speaker"].to_numpy() == pairs["portrait"].to_numpy()),
    ):
        if np.any(wrong):
            raise LeakError(
                f"the sound {sources.index[np.asarray(wrong)][0]} {problem}; give "
                "pairs of training clips and portraits of other people"
            )
    held_out = set(manifest["speaker"][manifest["split"] != TRAIN])
    if shown := sorted(set(pairs["portrait"]) & held_out):
        raise LeakError(f"the portrait {shown[0]} is a speaker of the validation or test split")


def choose_portraits(
    people: Sequence[Person], wanted: int | None, rng: np.random.Generator, workers: int = 1
) -> tuple[list[dict], pd.DataFrame]:
    """Portraits with a face, people in random order, and people without one, with the reason.

    Stops when `wanted` are found. A portrait is a dict of name, portrait (the identity), picture,
    picture_sha256 and picture_source.
    """
    order = [people[i] for i in rng.permutation(len(people))]
    usable, excluded = [], []
    looked = cast(Generator, ordered_map(_look_person, order, workers))
    for person, (found, reason) in zip(order, looked, strict=False):
        usable += found
        if not found:
            excluded.append((person.identity, person.pictures[-1], reason))
        if wanted is not None and len(usable) >= wanted:
            break
    looked.close()
    table = pd.DataFrame(sorted(excluded), columns=list(EXCLUDED_COLUMNS)).astype("str")
    return usable[:wanted], table


def list_people(sources: Sequence[dict], rng: np.random.Generator) -> list[Person]:
    """The people of all sources, none of their pictures opened.

    Raises PairingError where two portraits would have one name, FileNotFoundError (no pictures).
    """
    people = []
    for number, source in enumerate(sources):
        kind, root = source["source"], Path(source["root"])
        images = source.get("images_per_person", 1)
        if kind == "folder":
            named = [(_identity(picture), [picture]) for picture in list_pictures(root)]
        else:
            named = pictures_by_person(list_portraits(root, kind), kind, rng)
        people += [Person(kind, number, root, name, tuple(all_), images) for name, all_ in named]
    name, count = Counter(n for person in people for n in person.names).most_common(1)[0]
    if count > 1:
        roots = ", ".join(str(p.root) for p in people if name in p.names)
        raise PairingError(f"{roots}: {count} portraits are named {name}; rename all but one")
    return people


def _counted(people: Sequence[Person]) -> str:
    """E.g. 'ffhq (data/ffhq): 70000 people, 70000 portraits'."""
    found: dict[str, list[int]] = {}
    for person in people:
        counts = found.setdefault(f"{person.source} ({person.root})", [0, 0])
        counts[0] += 1
        counts[1] += person.possible
    return "; ".join(f"{name}: {n} people, {all_} portraits" for name, (n, all_) in found.items())


def pictures_by_person(
    portraits: Sequence[Portrait], source: str, rng: np.random.Generator
) -> list[tuple[str, list[str]]]:
    """Pairs of a name and the pictures of that person in random order, sorted by name.

    Left out are pictures of unknown people, who might be one of the others, and everybody who is
    in the published test split: generators of faces are trained and judged on these splits, and
    what they are judged on should not be in a training set (our choice; no paper says).
    Raises PairingError if nobody is left.
    """
    held_out = {portrait.identity for portrait in portraits if portrait.split == "test"}
    people: dict[str, list[str]] = {}
    for portrait in portraits:
        if portrait.identity and portrait.identity not in held_out and not portrait.complaint:
            people.setdefault(portrait.identity, []).append(portrait.media)
    if not people:
        raise PairingError(
            f"{source}: none of {len(portraits)} pictures shows a known person outside the test "
            "split; add the training split, or the list that tells who is shown"
        )
    return [
        (f"{source}-{p}", rng.permutation(media).tolist()) for p, media in sorted(people.items())
    ]


def list_pictures(root: Path) -> list[str]:
    """Pictures under a folder, relative to it, sorted. Raises FileNotFoundError if there is none.

    The identity of a picture is its path without the file type, which must be unique.
    """
    found = sorted(
        path.relative_to(root).as_posix()
        for path in (root.rglob("*") if root.is_dir() else ())
        if path.suffix.lower() in PICTURE_TYPES
    )
    if not found:
        raise FileNotFoundError(
            f"{root}: no pictures ({', '.join(PICTURE_TYPES)}) there; put one portrait per "
            "identity into this folder"
        )
    name, count = Counter(_identity(picture) for picture in found).most_common(1)[0]
    if count > 1:
        raise PairingError(f"{root}: {count} pictures are named {name}; rename all but one")
    return found


def write_table(frame: pd.DataFrame, path: str | PathLike) -> None:
    """Write pairs or excluded portraits as Parquet, atomically."""
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)


def _give(usable, sounds, total, per_portrait, rng, generator, seed) -> pd.DataFrame:
    """Give `total` sounds to the portraits, `per_portrait` distinct ones each."""
    labels, sources = sounds["label"].to_numpy(), sounds["clip_id"].to_numpy()
    in_rounds = _in_rounds(labels, rng)
    waiting: list[int] = []
    rows: list[dict] = []
    for portrait in usable:
        for i in _distinct(in_rounds, waiting, min(per_portrait, total - len(rows))):
            word = sources[i].removeprefix(f"{TRAIN}/").replace("/", "_")
            clip_id = f"{generator}/{portrait['name']}/{word}"
            row = {"clip_id": clip_id, "label": labels[i], "source": sources[i]}
            rows.append(row | portrait | {"seed": zlib.crc32(f"{seed}/{clip_id}".encode())})
    frame = pd.DataFrame(rows, columns=list(PAIR_COLUMNS))
    kinds = {c: "int64" if c in _NUMBERS else "str" for c in PAIR_COLUMNS}
    return frame.astype(kinds).sort_values("clip_id", ignore_index=True)


def _in_rounds(labels: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Sounds without end: all in random order, then all again. In each round of an order comes one
    of every label that has some left, labels shuffled."""
    names = np.unique(labels)
    while True:
        left = [rng.permutation(np.flatnonzero(labels == name)) for name in names]
        for round_ in zip_longest(*left):
            these = [sound for sound in round_ if sound is not None]
            yield from (int(these[i]) for i in rng.permutation(len(these)))


def _distinct(sounds: Iterator[int], waiting: list[int], size: int) -> list[int]:
    """`size` distinct sounds; one that is among them already waits for the next portrait."""
    chosen: list[int] = []
    while len(chosen) < size:
        sound = next((s for s in waiting if s not in chosen), None)
        if sound is not None:
            waiting.remove(sound)
        elif (sound := next(sounds)) in chosen:
            waiting.append(sound)
            continue
        chosen.append(sound)
    return chosen


def _identity(picture: str) -> str:
    return picture.rsplit(".", 1)[0].replace("/", "_")


def _look(root: Path, picture: str) -> tuple[dict, str]:
    """A portrait, and why it cannot be used ('' if it can)."""
    known = {"portrait": _identity(picture), "picture": picture}
    try:
        find_face(read_picture(root / picture), _detector())
    except PictureError as error:
        return known, str(error)
    return known | {"picture_sha256": sha256_file(root / picture)}, ""


def _look_person(person: Person) -> tuple[list[dict], str]:
    """The first pictures of a person that can be used, as portraits; why there is none."""
    found: list[dict] = []
    names, reason = person.names, ""
    for picture in person.pictures:
        known: dict = {}
        reason = "" if person.source == "folder" else look_at(person.root, picture)["reason"]
        if not reason:
            known, reason = _look(person.root, picture)
        if not reason:
            called = {"name": names[len(found)], "portrait": person.identity}
            found.append(known | called | {"picture_source": person.picture_source})
        if len(found) == person.images:
            break
    if found or person.source == "folder":
        return found, reason
    return [], f"none of {len(person.pictures)} pictures can be used; of the last: {reason}"


@lru_cache(maxsize=1)
def _detector():
    cv2.setNumThreads(1)
    return RetinaFace(threads=1, providers=["CPUExecutionProvider"])  # pairing leases no GPU
