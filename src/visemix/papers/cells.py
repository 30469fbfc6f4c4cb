"""papers/*.yaml: tables, cells and published values, and the run that each cell needs.

A cell is data: Snakemake targets, MLflow runs and the tables all come from these files. Two cells
that name the same run share its training.
"""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from visemix.config.generator_names import GENERATORS
from visemix.config.runs import check_heads, check_tafm
from visemix.papers.mixture_runs import repeats_name, split_name

PAPERS = Path(__file__).parents[3] / "papers"
HEADS = ("viseme_branch", "tafm_on", "lambda", "gamma")  # what a run says of the network's heads


@dataclass(frozen=True)
class Cell:
    """One cell of a published table.

    `id` is '<paper>/<table>/<row key>'; `published` is in the table's unit (per cent for LipGen);
    `run` is None for a value that the paper quotes from elsewhere, or that no run of ours gives
    yet; `protocol` holds
    word_boundary, selection, extra_data and parameters as the source states them (None: not said).
    `other_reading_of` is None for a cell of the paper; else the id of the cell that `run` may be
    what the paper means by, as a second reading of ours.
    """

    id: str
    row: str
    published: float
    run: str | None
    test_set: str
    quoted_from: str | None
    protocol: dict
    other_reading_of: str | None

    @property
    def own_run(self) -> str:
        """`run` where there is one, as in all of `reproduced_cells`."""
        assert self.run is not None, self.id
        return self.run


def paper_names() -> list[str]:
    """The papers there are: files of papers/ but claims.yaml, which holds what they say."""
    return sorted(path.stem for path in PAPERS.glob("*.yaml") if path.stem != "claims")


def read_paper(name: str) -> dict:
    """Content of papers/<name>.yaml, not to be changed.

    Raises FileNotFoundError naming the papers there are.
    """
    path = PAPERS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(paper_names())
        raise FileNotFoundError(f"no paper {name!r} under papers/; there are: {known}")
    return _parsed(path, path.stat().st_mtime_ns)


@lru_cache
def _parsed(path: Path, _changed: int) -> dict:
    """A paper's content, kept because every run of the DAG looks it up."""
    return yaml.safe_load(path.read_text())


def read_table(paper: str, table: str) -> dict:
    """One table of papers/<paper>.yaml, not to be changed. Raises ValueError with the nearest."""
    tables = read_paper(paper)["tables"]
    if table not in tables:
        raise _unknown("table", table, tables, f"papers/{paper}.yaml")
    return tables[table]


def _unknown(kind: str, name: str, known: Iterable[str], where: str) -> ValueError:
    near = difflib.get_close_matches(name, known, 3, cutoff=0.3) or list(known)[:3]
    return ValueError(f"no {kind} {name!r} in {where}; nearest: {', '.join(near)}")


def table_names(paper: str) -> list[str]:
    """Names of the tables of a paper, in the paper's order."""
    return list(read_paper(paper)["tables"])


def table_cells(paper: str, table: str) -> list[Cell]:
    """Cells of one table, in the order of its rows."""
    content = read_table(paper, table)
    return [
        Cell(
            id=f"{paper}/{table}/{cell['id']}",
            row=cell["row"],
            published=cell["published"],
            run=cell.get("run"),
            test_set=cell.get("test_set", content["test_set"]),
            quoted_from=cell.get("quoted_from"),
            protocol=cell.get("protocol", {}),
            other_reading_of=_full_id(paper, table, cell.get("other_reading_of")),
        )
        for cell in content["cells"]
    ]


def find_cell(cell_id: str) -> Cell:
    """The cell '<paper>/<table>/<row key>'. Raises ValueError with the nearest ones."""
    known = {
        cell.id: cell
        for paper in paper_names()
        for table in table_names(paper)
        for cell in table_cells(paper, table)
    }
    if cell_id not in known:
        raise _unknown("cell", cell_id, known, "papers/*.yaml")
    return known[cell_id]


def _full_id(paper: str, table: str, key: str | None) -> str | None:
    return key and f"{paper}/{table}/{key}"


def run_names(paper: str) -> list[str]:
    """Runs that the cells of a paper need, without repeats, in the order of papers/<name>.yaml."""
    return list(read_paper(paper)["runs"])


def resolve_run(run: str, parameters: dict) -> dict:
    """Everything that one run depends on besides its data: a plain dictionary.

    Keys: temporal_shift, synthetic, repeats, viseme_branch, tafm_on, lambda, gamma as in
    papers/*.yaml with the changes of `parameters['runs']` laid over; `mixture`, the name of the
    mixture it is trained on; `changed`, the keys that differ from the paper's. A run of
    papers.mixture_runs is the one it is built on with another mixture, and has the keys of
    `split_name` as well.
    Raises ValueError for a run that no paper has (with the nearest ones) or on a generator that
    there is not, and for a combination that means nothing.
    """
    base, mixture = split_name(run)
    published, generator = _published_run(base), mixture.get("generator")
    if generator and generator not in GENERATORS:
        raise _unknown("generator", generator, GENERATORS, f"the name of the run {run}")
    settings = {"lambda": None, "gamma": None} | published
    changes = {k: v for k, v in parameters["runs"].get(base, {}).items() if v is not None}
    settings |= changes | mixture
    _check_run(run, settings, changes)
    settings["mixture"] = mixture_name(settings, parameters)
    settings["changed"] = sorted(k for k in changes if changes[k] != published.get(k))
    return settings


def _check_run(run: str, settings: dict, changes: dict) -> None:
    try:
        check_heads(settings)
        check_tafm(*(settings[name] for name in HEADS))
    except ValueError as error:
        raise ValueError(f"runs.{run}: {error}") from None
    if settings["tafm_on"] == "none" and {"lambda", "gamma"} & set(changes):
        raise ValueError(f"runs.{run}: lambda and gamma act only with tafm_on, which is none")
    if (settings["repeats"] == math.inf) == settings["synthetic"]:
        raise ValueError(
            f"runs.{run}: synthetic = {settings['synthetic']} with repeats = "
            f"{settings['repeats']}; real data only is synthetic: false and repeats: .inf"
        )


def _published_run(run: str) -> dict:
    runs = {name: one for paper in paper_names() for name, one in read_paper(paper)["runs"].items()}
    if run not in runs:
        raise _unknown("run", run, runs, "papers/*.yaml")
    return runs[run]


def check_runs(parameters: dict) -> None:
    """Look up every run that the parameters name. Raises ValueError with key, value and remedy."""
    named = {f"runs.{run}": run for run in parameters["runs"]}
    named |= {"beta.run": parameters["beta"]["run"]}
    lip_reader = parameters["generators"]["lip_reader"]
    for key, run in (named | {"generators.lip_reader": split_name(lip_reader)[0]}).items():
        try:
            _published_run(run)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
        resolve_run(run, parameters)


def mixture_name(settings: dict, parameters: dict) -> str:
    """Name of the mixture file of a run: corpus, generator and N, e.g. 'miniature-portrait-N1'."""
    corpus = parameters["corpus"]["name"]
    if not settings["synthetic"]:
        return f"{corpus}-real"
    generator = settings.get("generator", parameters["synthesis"]["generator"])
    if "share" in settings:
        return f"{corpus}-{generator}-G{settings['share']}{settings['draw']}"
    return f"{corpus}-{generator}-{repeats_name(settings['repeats'])}"


def mixture_file(run: str, parameters: dict) -> Path:
    """The mixture that a run is trained on."""
    return Path("data/mixtures") / f"{resolve_run(run, parameters)['mixture']}.json"


def model_of_run(run: str, parameters: dict) -> dict:
    """Fields of config.model.Recogniser: the section `model`, and what a run says of the network.

    The baseline, without cro-TSM, shifts no channels and pools globally: our reading of 'Baseline'.
    """
    settings = resolve_run(run, parameters)
    model = parameters["model"] | {name: settings[name] for name in HEADS}
    if settings["temporal_shift"]:
        return model | {"pooling": "conv3d"}
    return model | {"pooling": "average", "temporal_shift": [0.0] * 4}


def training_of_run(run: str, parameters: dict) -> dict:
    """The section `training` for a run by its name, with `equal` as it holds for that run."""
    return parameters["training"] | {"equal": equal_of_run(run, parameters)}


def equal_of_run(run: str, parameters: dict) -> str:
    """What a run has in common with one on the real clips alone: 'updates' or 'epochs'.

    As its name says, else as `training.equal`. Real clips alone, and sets of a fixed size
    (samplings), take `training.steps` updates either way.
    """
    settings = resolve_run(run, parameters)
    if not settings["synthetic"] or "share" in settings:
        return "updates"
    return settings.get("equal", parameters["training"]["equal"])


# test sets that the DAG makes: the test split, and the same clips with the heads turned;
# cells on any other are marked 'not yet run'
TEST_SETS = ("test", "pose")


def crops_of_test_set(test_set: str, parameters: dict) -> Path:
    """Manifest of the mouth crops of a test set, of the split val or '<generator>-evaluation'.

    Raises ValueError with the nearest ones.
    """
    known = [*TEST_SETS, "val", *(f"{generator}-evaluation" for generator in GENERATORS)]
    if test_set not in known:
        raise _unknown("test set", test_set, known, "the workflow")
    return Path("data/crops") / f"{parameters['corpus']['name']}-{test_set}" / "manifest.json"


def evaluation_folder(run: str, seed: int, corpus: str, test_set: str) -> Path:
    """Folder of one evaluation, relative to the working directory."""
    return Path("evaluations") / run / f"seed-{seed}" / f"{corpus}-{test_set}"


def table_test_set(paper: str, table: str) -> str:
    """The test set of all cells of a table."""
    return read_table(paper, table)["test_set"]


def reproduced_cells(paper: str, table: str) -> list[Cell]:
    """Cells of a table that are evaluated here, in the order of its rows."""
    return [c for c in table_cells(paper, table) if c.run and c.test_set in TEST_SETS]


def table_runs(paper: str, table: str) -> list[str]:
    """Runs whose evaluations a table shows, without repeats, in the order of its rows."""
    return list(dict.fromkeys(cell.own_run for cell in reproduced_cells(paper, table)))


def compared_cells(paper: str, table: str) -> list[tuple[Cell, Cell]]:
    """Pairs (earlier, later) of reproduced cells: each but the first with the nearest one above.

    Other readings are no rows of the paper: nothing is compared with them, and they are compared
    with the row above the cell that they read otherwise.
    """
    cells, pairs = reproduced_cells(paper, table), []
    for position, later in enumerate(cells):
        above = [
            cell
            for cell in cells[:position]
            if cell.other_reading_of is None and cell.id != later.other_reading_of
        ]
        pairs += [(above[-1], later)] if above else []
    return pairs


def compared_runs(paper: str, table: str) -> list[tuple[str, str]]:
    """Pairs (earlier, later) of runs that are compared on a table's test set, without repeats.

    The rows of `compared_cells`, and what the front page asks of the table besides. p values are
    corrected for all of them together, so that a difference has one p wherever it is shown.
    """
    rows = [(earlier.own_run, later.own_run) for earlier, later in compared_cells(paper, table)]
    asked = read_paper(paper).get("questions", [])
    rows += [(one["without"], one["with"]) for one in asked if one["table"] == table]
    return list(dict.fromkeys(rows))


def changes_shown(paper: str, table: str, parameters: dict) -> dict:
    """The part of params.yaml's `runs` that changes rows of this table."""
    return {r: c for r, c in parameters["runs"].items() if r in table_runs(paper, table)}


def table_inputs(paper: str, table: str, parameters: dict) -> list[Path]:
    """Files that a table is made from: its runs' records and evaluations, and the control's.

    Raises ValueError for a table of which no cell has a run.
    """
    seeds, control = parameters["seeds"], shuffled_control(paper, table)
    runs, test_set = table_runs(paper, table), table_test_set(paper, table)
    if not runs:
        raise ValueError(f"{paper}/{table} cannot be made: papers/{paper}.yaml gives it no run")
    records = [Path("runs") / run / f"seed-{s}" / "training.json" for run in runs for s in seeds]
    shuffled = [control] if control else []
    return [
        *records,
        *evaluation_files(runs, test_set, parameters),
        *evaluation_files(shuffled, f"{test_set}-shuffled", parameters),
    ]


def shuffled_control(paper: str, table: str) -> str | None:
    """The run of a table whose clips are also read with their frames shuffled, if any."""
    return read_table(paper, table).get("shuffled_control")


def evaluation_files(runs: list[str], test_set: str, parameters: dict) -> list[Path]:
    """predictions.parquet and metrics.json of runs on a test set, for every seed."""
    corpus = parameters["corpus"]["name"]
    return [
        evaluation_folder(run, seed, corpus, test_set) / name
        for run in runs
        for seed in parameters["seeds"]
        for name in ("predictions.parquet", "metrics.json")
    ]
