"""Portraits: pictures of faces that generators make speak, from FFHQ, VGGFace, VGGFace2 or CelebA.

FFHQ       Karras, Laine & Aila, CVPR 2019. https://github.com/NVlabs/ffhq-dataset. CC BY-NC-SA 4.0;
           each picture has a licence of its own. Expected: 70,000, of which the first 60,000 are
           train and the others val. Who is shown is not published: that every picture shows
           another person is an assumption. Some people are there more than once.
               images1024x1024/00000/00000.png, or thumbnails128x128
VGGFace    Parkhi, Vedaldi & Zisserman, BMVC 2015. https://www.robots.ox.ac.uk/~vgg/data/vgg_face/.
           For non-commercial research. Published are lists of addresses, files/<Name>.txt, for
           2,622 identities; many of the 2.6 million pictures are gone, so none are expected.
               <Name>/*.jpg, or images/<Name>/*.jpg: folders that you filled from those lists
VGGFace2   Cao, Shen, Xie, Parkhi & Zisserman, FG 2018, arXiv 1710.08092. Its own page,
           https://www.robots.ox.ac.uk/~vgg/data/vgg_face2/, may no longer hand it out; copies name
           CC BY-NC 4.0. Expected: train 3,141,890 pictures of 8,631 identities, test 169,396 of
           500 others.
               train/n000002/0001_01.jpg   test/n000001/0001_01.jpg
CelebA     Liu, Luo, Wang & Tang, ICCV 2015. https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html. For
           non-commercial research. Expected: 202,599 pictures (train 162,770, val 19,867, test
           19,962) of 10,177 identities.
               img_align_celeba/000001.jpg (or img_celeba), in the root or in Img
               identity_CelebA.txt, list_eval_partition.txt: in the root, in Anno or in Eval
folder     any folder of pictures, in folders of any depth, of people who are not known

`split` is the published one, '' where there is none, `identity` '' where it is unknown.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visemix.corpora.manifest import SPLITS
from visemix.corpora.sentences import Source, read_list, visible_folders

PICTURE_TYPES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
SOURCES = {
    "folder": Source("portraits", "any place that lets you use them", "that of the pictures", {}),
    "ffhq": Source(
        "FFHQ",
        "https://github.com/NVlabs/ffhq-dataset (images1024x1024)",
        "CC BY-NC-SA 4.0, and of each picture its own",
        {"train": 60_000, "val": 10_000},
    ),
    "vggface": Source(
        "VGGFace",
        "the addresses in files/*.txt of https://www.robots.ox.ac.uk/~vgg/data/vgg_face/",
        "non-commercial research",
        {},
    ),
    "vggface2": Source(
        "VGGFace2",
        "https://www.robots.ox.ac.uk/~vgg/data/vgg_face2/ (train and test)",
        "CC BY-NC 4.0",
        {"train": 3_141_890, "test": 169_396},
    ),
    "celeba": Source(
        "CelebA",
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (images, Anno and Eval)",
        "non-commercial research",
        {"train": 162_770, "val": 19_867, "test": 19_962},
    ),
}


@dataclass(frozen=True)
class Portrait:
    """A picture as its corpus lists it."""

    media: str
    identity: str = ""
    split: str = ""
    complaint: str = ""  # why it cannot be used, where the folders say so already


def as_sources(portraits: str | os.PathLike | Sequence[dict]) -> list[dict]:
    """Sources of portraits {source, root, images_per_person}; a path is a folder of pictures."""
    if isinstance(portraits, str | os.PathLike):
        return [{"source": "folder", "root": portraits, "images_per_person": 1}]
    return list(portraits)


def list_portraits(root: str | os.PathLike, corpus: str) -> list[Portrait]:
    """The pictures under `root`, sorted by path, none of them opened.

    Raises ValueError for an unknown corpus or a broken list, FileNotFoundError for missing folders,
    lists or pictures.
    """
    if corpus not in _LISTERS:
        raise ValueError(f"corpus is {corpus!r}; give one of {', '.join(_LISTERS)}")
    portraits = sorted(_LISTERS[corpus](Path(root)), key=lambda portrait: portrait.media)
    if not portraits:
        raise FileNotFoundError(
            f"{root}: no pictures ({', '.join(PICTURE_TYPES)}) where {corpus} has them (see "
            f"visemix.corpora.portrait_sources); get them from {SOURCES[corpus].where}"
        )
    return portraits


def find_celeba(root: Path, *names: str) -> Path | None:
    """The first of a file or folder of CelebA, which copies keep in different folders."""
    places = [root / place / name for name in names for place in ("", "Img", "Anno", "Eval")]
    return next((path for path in places if path.exists()), None)


def _pictures(root: Path, folder: Path) -> list[str]:
    """Paths, relative to the root, of the pictures in a folder of any depth."""
    return [
        path.relative_to(root).as_posix()
        for path in (folder.rglob("*") if folder.is_dir() else ())
        if path.suffix.lower() in PICTURE_TYPES and not path.name.startswith(".")
    ]


def _folder(root: Path) -> list[Portrait]:
    return [Portrait(media) for media in _pictures(root, root)]


def _ffhq(root: Path) -> list[Portrait]:
    kinds = [root / name for name in ("images1024x1024", "thumbnails128x128")]
    folder = next((kind for kind in kinds if kind.is_dir()), kinds[0])
    portraits = []
    for media in _pictures(root, folder):
        name = Path(media).stem
        if re.fullmatch(r"\d{5}", name):
            portraits.append(Portrait(media, name, "train" if int(name) < 60_000 else "val"))
        else:
            portraits.append(Portrait(media, complaint=f"the name {name!r} is not five digits"))
    return portraits


def _vggface(root: Path) -> list[Portrait]:
    folder = root / "images" if (root / "images").is_dir() else root
    depth = len(folder.relative_to(root).parts)
    portraits = [(media, Path(media).parts[depth:]) for media in _pictures(root, folder)]
    return [Portrait(media, rest[0] if len(rest) > 1 else "") for media, rest in portraits]


def _vggface2(root: Path) -> list[Portrait]:
    portraits = []
    for split in ("train", "test"):
        for folder in visible_folders(root / split) if (root / split).is_dir() else ():
            known = re.fullmatch(r"n\d{6}", folder.name)
            complaint = "" if known else f"the folder {folder.name!r} is not n and six digits"
            identity = folder.name if known else ""
            for media in _pictures(root, folder):
                portraits.append(Portrait(media, identity, split, complaint))
    return portraits


def _celeba(root: Path) -> list[Portrait]:
    folder = find_celeba(root, "img_align_celeba", "img_celeba", "img_align_celeba_png")
    if folder is None:
        raise FileNotFoundError(
            f"{root}: no folder img_align_celeba or img_celeba in it or in its folder Img; get it "
            f"from {SOURCES['celeba'].where}"
        )
    identities = _read_list(root, "identity_CelebA.txt", r"\d+")
    parts = _read_list(root, "list_eval_partition.txt", "[012]")
    media: dict[str, str] = {}
    for picture in sorted(_pictures(root, folder)):
        if (other := media.setdefault(Path(picture).stem, picture)) != picture:
            raise ValueError(f"{picture} and {other} are the same picture; remove one of them")
    gone = folder.relative_to(root).as_posix()
    portraits = []
    for name in sorted({*identities, *parts, *media}):
        split = SPLITS[int(parts[name])] if name in parts else ""
        complaint = "" if split else "list_eval_partition.txt does not name it"
        path = media.get(name, f"{gone}/{name}.jpg")
        portraits.append(Portrait(path, identities.get(name, ""), split, complaint))
    return portraits


def _read_list(root: Path, name: str, value: str) -> dict[str, str]:
    """Number of a picture -> what a list of CelebA says of it, lines '000001.jpg <value>'."""
    path = find_celeba(root, name)
    if path is None:
        raise FileNotFoundError(
            f"{root / name}: no such list, nor in the folders Anno and Eval; it comes with CelebA"
        )
    found: dict[str, str] = {}
    for number, line in read_list(path):
        match = re.fullmatch(rf"(\d+)\.(?:jpg|png)\s+({value})", line)
        if match is None or match[1] in found:
            what = "is listed twice" if match else "is not '000001.jpg' and a number"
            raise ValueError(f"{path}, line {number}: {line!r} {what}")
        found[match[1]] = match[2]
    return found


_LISTERS = {
    "folder": _folder,
    "ffhq": _ffhq,
    "vggface": _vggface,
    "vggface2": _vggface2,
    "celeba": _celeba,
}
