"""The report: a folder of pages made from the files of a finished run, which needs no network."""

from pathlib import Path

import pandas as pd

from visemix.config.parameters import flatten
from visemix.papers.cells import (
    read_paper,
    resolve_run,
    run_names,
    table_cells,
    table_names,
    table_test_set,
)
from visemix.report import beta_page, figures, generators_page, quality
from visemix.report.attention import attention_picture
from visemix.report.cell_page import cell_address, write_cell_pages
from visemix.report.front_page import answers, write_front_page
from visemix.report.site import HOME, Site, add_file, add_picture, open_site, write_page
from visemix.report.verdicts import CLAIMS, counted, read_audits, read_claims
from visemix.run.atomic import atomic_folder
from visemix.run.provenance import environment
from visemix.tables.angles_table import turned_differences
from visemix.tables.paper_table import controls, departing_rows, resolution, trainings_note
from visemix.tables.results import Results, percent


def write_report(folder: str | Path, parameters: dict) -> None:
    """Write the report of the run in the working directory; it replaces `folder` as a whole.

    `parameters`: the resolved parameters. Reads tables/, runs/, evaluations/, data/ and, where
    they are, audits/ and generators/; raises FileNotFoundError naming what is missing.
    """
    audits, claims, axis = read_audits(), read_claims(), beta_page.page_facts()
    results = Results(parameters)
    nav = [HOME, *((f"papers/{name}.html", name) for name in parameters["papers"])]
    nav += [("claims.html", "Claims")] * bool(claims) + [("generators.html", "Generators")]
    nav += [("beta.html", "Beta axis")] * bool(axis)
    nav += [("quality.html", "Quality"), ("parameters.html", "Run it again")]
    with atomic_folder(folder) as new:
        site = open_site(new, parameters, nav)
        papers = [paper_facts(site, name, results) for name in parameters["papers"]]
        for paper in papers:
            _write_paper(site, paper)
            write_cell_pages(site, paper, results, audits)
        if claims:
            _write_claims(site, claims, papers)
        if axis:
            beta_page.write_page_of_axis(site, axis)
        shown = generators_page.page_facts(parameters)
        generators_page.write_page_of_generators(site, shown)
        quality.write_page_of_clips(site, parameters)
        _write_parameters(site, parameters)
        others = {"measured_generators": bool(shown["measured"]), "beta": bool(axis)}
        write_front_page(site, papers, audits, claims, **others)


def paper_facts(site: Site, name: str, results: Results) -> dict:
    """What the pages of a paper and of its tables show; its pictures are added to the site."""
    paper, parameters = read_paper(name), results.parameters
    runs: list[dict] = [
        {
            "name": run,
            "settings": resolve_run(run, parameters),
            "trainings": training_rows(run, results),
        }
        for run in run_names(name)
    ]
    chance = 1 / len(runs[0]["trainings"][0]["record"]["words"])
    histories = {run["name"]: results.histories(run["name"]) for run in runs}
    attended = attention_picture(name, parameters)
    return {
        "key": name,
        **{key: paper[key] for key in ("title", "arxiv", "metric", "readings", "full_model")},
        "answers": answers(name, results),
        "curves": add_picture(site, f"training-{name}", figures.training_curves(histories, chance)),
        "attention": attended and add_picture(site, f"attention-{name}", attended),
        "runs": runs,
        "tables": [_table(site, name, table, results) for table in table_names(name)],
    }


def training_rows(run: str, results: Results) -> list[dict]:
    """A row a training of a run: seed, record (training.json), validation.

    validation: accuracy of the selected model with its 95% Wilson interval, per cent, and n.
    """
    corpus = results.parameters["corpus"]["name"]
    n = results.json(Path(f"data/crops/{corpus}-val/manifest.json"))["clips"]
    rows = []
    for seed in results.parameters["seeds"]:
        record = results.training(run, seed)
        validation = percent(record["best"]["accuracy"], n) | {"n": n}
        rows.append({"seed": seed, "record": record, "validation": validation})
    return rows


def _table(site: Site, paper: str, table: str, results: Results) -> dict:
    source = Path(f"tables/{paper}/{table}.csv")
    frame = pd.read_csv(source, keep_default_na=False, dtype=str)
    rows = [row | {"address": cell_address(row["cell_id"])} for row in frame.to_dict("records")]
    return {
        "address": f"tables/{paper}-{table}.html",
        "caption": read_paper(paper)["tables"][table]["caption"],
        "test_set": table_test_set(paper, table),
        "cells": table_cells(paper, table),
        "file": add_file(site, source),
        "columns": frame.columns.tolist(),
        "trained": trainings_note(frame),
        "rows": rows,
        "departing": departing_rows(frame),
        "figure": add_file(site, source.with_suffix(".png"), "pictures"),
        "controls": controls(paper, table, results),
        "resolution": resolution(paper, table, results),
        "pose": _pose(site, paper, table, results),
    }


def _pose(site: Site, paper: str, table: str, results: Results) -> dict | None:
    """What stands under a table on the pose set: how the set looks, and accuracies by angle."""
    if table_test_set(paper, table) != "pose":
        return None
    by_angle = Path(f"tables/{paper}/{table}-angles.csv")
    sheet = f"data/pose/{results.parameters['corpus']['name']}-sheet.png"
    return {
        "sheet": add_file(site, sheet, "pictures"),
        "figure": add_file(site, by_angle.with_suffix(".png"), "pictures"),
        "rows": pd.read_csv(by_angle).to_dict("records"),
        "turned": turned_differences(paper, table, results),
    }


def _write_paper(site: Site, paper: dict) -> None:
    address, name = f"papers/{paper['key']}.html", paper["key"]
    write_page(site, address, "paper.html", f"{name}: runs and readings", [HOME], paper=paper)
    for table in paper["tables"]:
        trail, facts = [HOME, (address, name)], {"metric": paper["metric"], "table": table}
        write_page(site, table["address"], "table.html", table["caption"], trail, **facts)


def _write_claims(site: Site, claims: list[dict], papers: list[dict]) -> None:
    """Every claim, with links to those of its cells that this run has a page of."""
    rows = [row for paper in papers for table in paper["tables"] for row in table["rows"]]
    addresses = {row["cell_id"]: row["address"] for row in rows}
    linked = []
    for claim in claims:
        names = filter(None, claim["cells"].split(", "))  # 'lipgen/table3/baseline (89.5)'
        links = [{"name": name, "address": addresses.get(name.split()[0])} for name in names]
        linked.append(claim | {"cell_links": links})
    facts = {"claims": linked, "counts": counted(claims, "verdict"), "file": add_file(site, CLAIMS)}
    write_page(site, "claims.html", "claims.html", "Prose claims", [HOME], **facts)


def _write_parameters(site: Site, parameters: dict) -> None:
    facts = {"parameters": flatten(parameters), "environment": flatten(environment())}
    title = "How to run it again"
    write_page(site, "parameters.html", "parameters.html", title, [HOME], **facts)
