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

from visemix.corpora.manifest import SPLITS
from visemix.corpora.portrait_sources import Portrait, list_portraits
from visemix.corpora.table import TableFormat, chunked, leads_out, scan_chunks
from visemix.run.atomic import sha256_bytes

MIN_SIDE = 64  # px; our choice: a smaller picture has no face with eyes 20 px apart
# column -> kind; `media` is relative to the root, `height` and `width` are pixels (0: not known)
COLUMNS = {
    "portrait_id": "text", "corpus": "text", "identity": "text", "split": "text", "media": "text",
    "height": "int64", "width": "int64", "sha256": "text", "status": "text", "reason": "text",
}  # fmt: skip
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
    chunks = chunked(list_portraits(root, corpus))
    table = PORTRAITS.frame(scan_chunks(partial(_rows, root, corpus), chunks, workers))
    PORTRAITS.check(table)
    return table


def look_at(root: Path, media: str) -> dict:
    """height, width, sha256 and reason ('' if it can be used) of a picture."""
    facts: dict = {"height": 0, "width": 0, "sha256": "", "reason": ""}
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


def _rules(table: pd.DataFrame):
    ok = table["status"] == "ok"
    yield f"split is none of {SPLITS} or empty", ~table["split"].isin((*SPLITS, ""))
    yield "media is empty", table["media"] == ""
    yield "height or width is not positive", ok & ~((table["height"] > 0) & (table["width"] > 0))


PORTRAITS = TableFormat("table of portraits", "portrait_id", "portraits", COLUMNS, _rules)


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
