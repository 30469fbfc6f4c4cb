"""The table of portraits, pictures of faces that generators make speak; see portrait_sources."""

import io
import os
import struct
import zlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pandas as pd
from PIL import Image, ImageOps
from tqdm import tqdm

from visemix.corpora.manifest import SPLITS
from visemix.corpora.portrait_sources import IDENTITIES, SOURCES, Portrait, list_portraits
from visemix.corpora.table import (
    Form,
    check_frame,
    leads_out,
    make_frame,
    read_frame,
    write_frame,
)
from visemix.run.atomic import sha256_bytes
from visemix.run.processes import ordered_map

MIN_SIDE = 64  # px; our choice: a smaller picture has no face with eyes 20 px apart
# column -> kind; `media` is relative to the root, `height` and `width` are pixels (0: not known)
COLUMNS = {
    "portrait_id": "text",
    "corpus": "text",
    "identity": "text",
    "split": "text",
    "media": "text",
    "height": "int64",
    "width": "int64",
    "sha256": "text",
    "status": "text",
    "reason": "text",
}
_CHUNK = 64  # pictures that a process scans at a time
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error,
           zlib.error, Image.DecompressionBombError)  # fmt: skip  # what Pillow raises


def scan(root: str | os.PathLike, corpus: str = "folder", workers: int = 1) -> pd.DataFrame:
    """Table of the portraits under `root`, sorted by portrait_id ("<corpus>/<media>").

    Every picture is decoded. One that is missing, broken, not RGB or smaller than MIN_SIDE, and one
    that a link leads out of the root, is a rejected row with a reason.

    Raises ValueError for an unknown corpus or a broken list, FileNotFoundError for missing
    folders, lists or pictures.
    """
    root = Path(root)
    portraits = list_portraits(root, corpus)
    chunks = [portraits[i : i + _CHUNK] for i in range(0, len(portraits), _CHUNK)]
    rows = ordered_map(partial(_rows, root, corpus), chunks, workers)
    progress = tqdm(rows, "scan", len(chunks), unit="chunk", disable=None)
    table = make_frame((row for chunk in progress for row in chunk), COLUMNS)
    check_portraits(table)
    return table


def missing_portraits(table: pd.DataFrame, corpus: str) -> list[str]:
    """What a table lacks of the published counts, in pictures and identities, with the remedy."""
    usable = table[table["status"] == "ok"]
    found = usable["split"].value_counts()
    expected = SOURCES[corpus].expected
    counts = [(f"{split}: ", found.get(split, 0), n, "pictures") for split, n in expected.items()]
    identities = usable["identity"][usable["identity"] != ""].nunique()
    counts += [("", identities, IDENTITIES.get(corpus, 0), "identities")]
    lines = [f"{of}{n:,} of {all_:,} {what}" for of, n, all_, what in counts if n < all_]
    source = SOURCES[corpus]
    return [*lines, f"get {source.title} from {source.where}"] if lines else []


def look_at(root: Path, media: str) -> dict:
    """height, width, sha256 and reason ('' if it can be used) of a picture."""
    facts = {"height": 0, "width": 0, "sha256": "", "reason": ""}
    name = os.path.basename(media)
    if leads_out(root, media):
        return facts | {"reason": f"{name} lies outside the corpus root"}
    try:
        content = (root / media).read_bytes()
        facts["sha256"] = sha256_bytes(content)
        with Image.open(io.BytesIO(content)) as image:
            image.load()  # all of it: a picture that is cut short has a good header
            facts["width"], facts["height"] = ImageOps.exif_transpose(image).size
            mode = image.mode
    except FileNotFoundError:
        return facts | {"reason": f"{name} is missing"}
    except _BROKEN as error:
        return facts | {"reason": f"{name} cannot be read ({str(error)[:80]})"}
    if mode != "RGB":
        facts["reason"] = f"{name} is not RGB but of the mode {mode}"
    elif min(facts["height"], facts["width"]) < MIN_SIDE:
        size = f"{facts['width']}x{facts['height']}"
        facts["reason"] = f"{name} is {size} pixels; {MIN_SIDE} a side are needed"
    return facts


def write_portraits(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Check the table and write it as Parquet, sorted by portrait_id. Raises ManifestError."""
    write_frame(_FORM, table, path)


def read_portraits(path: str | os.PathLike) -> pd.DataFrame:
    """Read and check a table. Raises FileNotFoundError or ManifestError, naming the file."""
    return read_frame(_FORM, path)


def check_portraits(table: pd.DataFrame) -> None:
    """Raise ManifestError, naming all that is wrong at once, if `table` is none of portraits."""
    check_frame(_FORM, table)


def _rules(table: pd.DataFrame):
    ok = table["status"] == "ok"
    yield f"split is none of {SPLITS} or empty", ~table["split"].isin((*SPLITS, ""))
    yield "media is empty", table["media"] == ""
    yield "height or width is not positive", ok & ~((table["height"] > 0) & (table["width"] > 0))


_FORM = Form("table of portraits", "portrait_id", "portraits", COLUMNS, _rules)


def _rows(root: Path, corpus: str, portraits: Iterable[Portrait]) -> list[tuple]:
    rows = []
    for portrait in portraits:
        facts = look_at(root, portrait.media)
        reason = portrait.complaint or facts["reason"]
        rows.append(
            (f"{corpus}/{portrait.media}", corpus, portrait.identity, portrait.split)
            + (portrait.media, facts["height"], facts["width"], facts["sha256"])
            + ("rejected" if reason else "ok", reason)
        )
    return rows
