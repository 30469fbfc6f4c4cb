"""The pictures of README.md and of the documentation, made from a finished run.

    python docs/pictures.py           # in the folder of the run; needs the program `chromium`
    python docs/pictures.py FOLDER    # a run that lies elsewhere

Writes docs/pictures/report.png, a table of the report, and docs/pictures/mouths.png: mouth
crops of real clips and, beside each, of a synthetic clip that was made from its sound.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from visemix.clips.shards import open_crops
from visemix.config.generator_names import GENERATORS

PICTURES = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 1200, 1020  # of the browser's window, pixels
ROWS, FRAMES = 4, 6  # words shown, and frames of each clip
SIDE, GAP, MARGIN, LABEL = 64, 24, 24, 96  # pixels: a crop, between the two clips, above, left
GREYS, COLOURS = 48, 64  # of the PNG files, which are to stay small


def main() -> None:
    """Make both pictures from the run in a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", nargs="?", type=Path, default=Path.cwd(), help="its folder")
    run = parser.parse_args().run.resolve()
    PICTURES.mkdir(exist_ok=True)
    save(photograph(run / "report/tables/lipgen-table3.html"), "report.png", COLOURS)
    save(mouths(run), "mouths.png", GREYS)


def save(picture: Image.Image, name: str, colours: int) -> None:
    """Write a PNG with few colours."""
    picture.quantize(colours, dither=Image.Dither.NONE).save(PICTURES / name, optimize=True)
    print(f"{PICTURES / name}: {(PICTURES / name).stat().st_size / 1000:.0f} kB")


def photograph(page: Path) -> Image.Image:
    """What Chromium shows of a page. Raises FileNotFoundError without page or program."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None or not page.is_file():
        raise FileNotFoundError(f"{page} and the program `chromium` are needed; run `snakemake`")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "page.png"
        subprocess.run(
            [
                program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{HEIGHT}",
                f"--screenshot={picture}", page.as_uri(),
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        return Image.open(picture).convert("RGB")


def mouths(run: Path) -> Image.Image:
    """Rows of a word each: frames of a real clip, the same frames of a synthetic one."""
    generator = generator_of(run)
    records = pd.read_parquet(run / f"data/synthesis/{generator}/records.parquet")
    accepted = records[records["status"] == "accepted"]
    chosen = accepted.drop_duplicates("label").head(ROWS)
    corpus = generator.partition("-")[0]
    real = frames(run / f"data/crops/{corpus}-train", chosen["source"])
    made = frames(run / f"data/crops/{generator}", chosen["clip_id"])
    strip = FRAMES * SIDE
    sheet = Image.new("L", (LABEL + 2 * strip + GAP, MARGIN + len(chosen) * SIDE), 255)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    kind = "real: the embedded corpus" if corpus == "miniature" else "real"
    draw.text((LABEL, 4), kind, 0, font)
    draw.text((LABEL + strip + GAP, 4), "synthetic: another face, the same sound", 0, font)
    for row, label in enumerate(chosen["label"]):
        top = MARGIN + row * SIDE
        draw.text((4, top + SIDE // 2 - 8), label.lower(), 0, font)
        for left, clip in ((LABEL, real[row]), (LABEL + strip + GAP, made[row])):
            for column, frame in enumerate(clip):
                crop = Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                sheet.paste(crop, (left + column * SIDE, top))
    return sheet


def generator_of(run: Path) -> str:
    """Name of the run's synthetic set, '<corpus>-<generator>'. Raises FileNotFoundError."""
    for folder in sorted((run / "data/synthesis").glob("*")):
        if folder.name.partition("-")[2] in GENERATORS:
            return folder.name
    raise FileNotFoundError(f"{run}: no synthetic clips there; run `snakemake --cores all` first")


def frames(folder: Path, clips: pd.Series) -> np.ndarray:
    """(B, FRAMES, 96, 96) uint8: evenly spaced frames of clips of a set of mouth crops."""
    with open_crops(folder) as crops:
        places = crops.index.reset_index(drop=True).reset_index().set_index("clip_id")["index"]
        clips = crops.read(places.loc[clips].to_numpy())
    middle = np.linspace(0.15, 0.85, FRAMES) * (clips.shape[1] - 1)
    return clips[:, middle.round().astype(int)]


if __name__ == "__main__":
    main()
