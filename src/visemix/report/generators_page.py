"""The page of the generators: clips of training, and the measures where there are any."""

from pathlib import Path

import pandas as pd

from visemix.clips.shards import open_crops
from visemix.report import figures
from visemix.report.site import HOME, Site, add_picture, write_page
from visemix.tables.generator_sheet import sheet
from visemix.tables.generator_table import read_measures, table, wording
from visemix.tables.shown import GENERATORS

WORDS = 6  # with a clip on the sheet of training


def training_sheet(parameters: dict) -> bytes:
    """PNG: real mouth crops, each above a synthetic clip that was driven by the same sound.

    The clips are those of the generator that the runs are trained with, of the first few words.
    """
    corpus, generator = parameters["corpus"]["name"], parameters["synthesis"]["generator"]
    real = open_crops(Path("data/crops") / f"{corpus}-train")
    synthetic = open_crops(Path("data/crops") / f"{corpus}-{generator}")
    records = pd.read_parquet(f"data/synthesis/{corpus}-{generator}/records.parquet")
    records = records[(records.status == "accepted") & records.source.isin(real.index.clip_id)]
    rows = []
    chosen = records.groupby("label").head(1).sort_values("label").head(WORDS)
    for record in chosen.itertuples():
        for title, crops, clip_id in (
            ("real", real, record.source), ("synthetic", synthetic, record.clip_id),
        ):  # fmt: skip
            found = (crops.index.clip_id == clip_id).to_numpy().nonzero()[0]
            rows += [(f"{record.label} {title}", clip) for clip in crops.read(found)]
    return figures.contact_sheet(rows)


def page_facts(parameters: dict) -> dict:
    """For templates/generators.html: the clips of training, and the measures where there are any.

    Keys generator, training_sheet (PNG), measured ({generator: content of its measures.json}, {}
    where `snakemake generators` was not run on this corpus), and with it rows (of
    generator_table.table) and sheet (PNG).
    """
    corpus = parameters["corpus"]["name"]
    compared = pd.read_csv(GENERATORS).generator.unique() if GENERATORS.is_file() else []
    files = {name: Path(f"generators/{corpus}-{name}/measures.json") for name in compared}
    measured = {name: read_measures(path) for name, path in files.items() if path.is_file()}
    facts = {
        "generator": parameters["synthesis"]["generator"],
        "training_sheet": training_sheet(parameters),
        "measured": measured,
    }
    if measured:
        made: dict[str, str | Path] = {
            name: f"data/crops/{corpus}-{name}-evaluation" for name in measured
        }
        facts["rows"] = table(measured).to_dict("records")
        facts["sheet"] = sheet(made, f"data/crops/{corpus}-val")
    return facts


def write_page_of_generators(site: Site, facts: dict) -> None:
    """Write generators.html. facts: of `page_facts`."""
    facts = facts | wording()
    for name in ("training_sheet", "sheet"):
        if name in facts:
            facts[name] = add_picture(site, f"generators-{name}", facts[name])
    facts["first"] = next(iter(facts["measured"].values()), None)
    write_page(site, "generators.html", "generators.html", "Generators", [HOME], **facts)
