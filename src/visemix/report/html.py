"""The report: one self-contained HTML file made from the files of a finished run."""

import base64
import json
from collections import Counter
from importlib.resources import files
from pathlib import Path

import jinja2
import pandas as pd

from visemix.clips.shards import open_crops
from visemix.evaluation.resolution import compare_rows
from visemix.generators.lag import describe, read_lag
from visemix.papers.cells import (
    evaluation_folder,
    read_paper,
    resolve_run,
    run_names,
    table_names,
    table_test_set,
)
from visemix.report import figures, quality
from visemix.report.angles import turned_differences
from visemix.report.beta import report_section
from visemix.report.tables import controls, read_predictions, resolution, seed_variance, summarise
from visemix.run.atomic import atomic_path
from visemix.run.parameters import flatten
from visemix.run.provenance import environment

SHEET_WORDS = 6


def write_report(path: str | Path, parameters: dict) -> None:
    """Write the report of the run in the working directory to `path` (HTML, images embedded).

    `parameters`: the resolved parameters. Reads tables/, runs/, evaluations/, data/; raises
    FileNotFoundError naming what is missing.
    """
    environment_ = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment_.from_string((files("visemix.report") / "report.html").read_text())
    html = template.render(
        parameters=flatten(parameters),
        scale=parameters["scale"],
        n_seeds=len(parameters["seeds"]),
        n_validation=_n_validation(parameters),
        miniature=parameters["corpus"]["name"] == "miniature",
        data=_data(parameters),
        papers=[_paper(name, parameters) for name in parameters["papers"]],
        sheet=_embed(_contact_sheet(parameters)),
        quality=_quality(parameters),
        generators=Path("tables/generators.csv").is_file(),
        beta=report_section(_embed),
        environment=environment(),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html)


def _embed(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _data(parameters: dict) -> list[dict]:
    """What became of the clips: for each set, how many were used and why others were not."""
    corpus, generator = parameters["corpus"]["name"], parameters["synthesis"]["generator"]
    manifest = pd.read_parquet(f"data/manifests/{corpus}.parquet")
    sets = {split: manifest[manifest.split == split] for split in ("train", "val", "test")}
    sets["pose"] = pd.read_parquet(f"data/manifests/{corpus}-pose.parquet")
    rows = []
    for name, clips in sets.items():
        crops = open_crops(Path("data/crops") / f"{corpus}-{name}")
        rejects = pd.read_parquet(crops.folder / "rejects.parquet")
        rows.append(
            {
                "name": f"{corpus} {name}",
                "clips": len(clips),
                "used": len(crops.index),
                "speakers": clips.speaker.replace("", pd.NA).nunique() or "not known",
                "reasons": _reasons(rejects),
            }
        )
    records = pd.read_parquet(f"data/synthesis/{corpus}-{generator}/records.parquet")
    rejected = records[records.status == "rejected"]
    lag = read_lag(f"data/synthesis/{corpus}-{generator}/lag.json")
    rows.append(
        {
            "name": f"synthetic ({generator}), training only",
            "clips": len(records),
            "used": int((records.status == "accepted").sum()),
            "speakers": records.portrait.nunique(),
            "reasons": "; ".join(filter(None, [describe(lag), _reasons(rejected)])),
        }
    )
    excluded = pd.read_parquet(f"data/synthesis/{corpus}-{generator}/excluded_portraits.parquet")
    portraits = records.portrait.nunique()
    rows.append(
        {
            "name": "portraits looked at for the synthetic clips",
            "clips": portraits + len(excluded),
            "used": portraits,
            "speakers": portraits,
            "reasons": _reasons(excluded),
        }
    )
    return rows


def _quality(parameters: dict) -> dict:
    """How well the faces were found: a row a set, the scores' distribution, the worst clips."""
    sets = quality.crop_sets(parameters["corpus"]["name"], parameters["synthesis"]["generator"])
    pictures = {"scores": quality.score_figure(sets), "worst": quality.worst_sheet(sets)}
    pictures = {name: png and _embed(png) for name, png in pictures.items()}
    return {"rows": quality.quality_rows(sets)} | pictures


def _n_validation(parameters: dict) -> int:
    return len(open_crops(Path("data/crops") / f"{parameters['corpus']['name']}-val").index)


def _reasons(rejects: pd.DataFrame) -> str:
    return "; ".join(f"{n} x {reason}" for reason, n in Counter(rejects.reason).most_common(5))


def _paper(name: str, parameters: dict) -> dict:
    paper = read_paper(name)
    tables = []
    for table in table_names(name):
        frame = pd.read_csv(f"tables/{name}/{table}.csv", keep_default_na=False)
        tables.append(
            {
                "caption": paper["tables"][table]["caption"],
                "rows": frame.to_dict("records"),
                "figure": _embed(Path(f"tables/{name}/{table}.png").read_bytes()),
                "controls": controls(name, table, parameters),
                "resolution": resolution(name, table, parameters),
                "pose": _pose(name, table, parameters),
            }
        )
    full = read_predictions(paper["full_model"], "test", parameters)
    words = sorted(full[0].label.unique())
    return {
        "title": paper["title"],
        "arxiv": paper["arxiv"],
        "tables": tables,
        "readings": paper["readings"],
        "verdicts": _verdicts(name, full, parameters),
        "curves": _embed(_curves(name, parameters, 1 / len(words))),
        "full_model": paper["full_model"],
        "confusion": _embed(figures.confusion_matrix(full[0], words)),
        "runs": [_run(run, parameters) for run in run_names(name)],
    }


def _pose(name: str, table: str, parameters: dict) -> dict | None:
    """What stands under a table on the pose set: how the set looks, and accuracies by angle."""
    if table_test_set(name, table) != "pose":
        return None
    sheet = Path(f"data/pose/{parameters['corpus']['name']}-sheet.png")
    by_angle = f"tables/{name}/{table}-angles"
    return {
        "sheet": _embed(sheet.read_bytes()),
        "figure": _embed(Path(f"{by_angle}.png").read_bytes()),
        "rows": pd.read_csv(f"{by_angle}.csv").to_dict("records"),
        "turned": turned_differences(name, table, parameters),
    }


def _verdicts(name: str, full: list[pd.DataFrame], parameters: dict) -> list[dict]:
    """The questions the run was made for, answered with n, interval and p."""
    words = full[0].label.nunique()
    shuffled = read_predictions(read_paper(name)["full_model"], "test-shuffled", parameters)
    answers = [
        {"question": "Does the full model read lips (chance below its interval)?"}
        | {"summary": summarise(full), "chance": 100 / words},
        {"question": "What is left when the frames are shuffled in time?"}
        | {"summary": summarise(shuffled), "chance": 100 / words},
    ]
    questions = {
        "Does synthetic video help (same network, with and without it)?": ("table3", "R2", "R3"),
        "Does the viseme branch help on top?": ("table3", "R3", "R4"),
        "Does temporal attention fusion (lambda 0.1) help on top?": ("table3", "R4", "R6"),
        "Does synthetic video help on the pose-augmented test set?": ("table2", "R2", "R3"),
    }
    for question, (table, *runs) in questions.items():
        test_set = table_test_set(name, table)
        rows = [read_predictions(f"{name}-{run}", test_set, parameters) for run in runs]
        result = compare_rows(*rows, seed_variance(name, table, parameters))
        answers.append({"question": question, "comparison": result})
    return answers


def _curves(name: str, parameters: dict, chance: float) -> bytes:
    histories = {
        run: [pd.read_csv(f"runs/{run}/seed-{seed}/history.csv") for seed in parameters["seeds"]]
        for run in run_names(name)
    }
    return figures.training_curves(histories, chance)


def _run(run: str, parameters: dict) -> dict:
    seed = parameters["seeds"][0]
    record = json.loads(Path(f"runs/{run}/seed-{seed}/training.json").read_text())
    folder = evaluation_folder(run, seed, parameters["corpus"]["name"], "test")
    metrics = json.loads((folder / "metrics.json").read_text())
    return {"name": run, "record": record, "metrics": metrics} | {
        "settings": resolve_run(run, parameters)
    }


def _contact_sheet(parameters: dict) -> bytes:
    """Real mouth crops, each above a synthetic clip that was driven by the same sound."""
    corpus, generator = parameters["corpus"]["name"], parameters["synthesis"]["generator"]
    real = open_crops(Path("data/crops") / f"{corpus}-train")
    synthetic = open_crops(Path("data/crops") / f"{corpus}-{generator}")
    records = pd.read_parquet(f"data/synthesis/{corpus}-{generator}/records.parquet")
    records = records[(records.status == "accepted") & records.source.isin(real.index.clip_id)]
    rows = []
    chosen = records.groupby("label").head(1).sort_values("label").head(SHEET_WORDS)
    for record in chosen.itertuples():
        for title, crops, clip_id in (
            ("real", real, record.source), ("synthetic", synthetic, record.clip_id),
        ):  # fmt: skip
            found = (crops.index.clip_id == clip_id).to_numpy().nonzero()[0]
            rows += [(f"{record.label} {title}", clip) for clip in crops.read(found)]
    return figures.contact_sheet(rows)
