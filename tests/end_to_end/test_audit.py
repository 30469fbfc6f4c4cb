"""`visemix audit`: one cell made again, and whatever was tampered with is named."""

import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.helpers.workflow import REPOSITORY, planned_jobs, snakemake

from visemix.audit import cell as audit_module
from visemix.audit.cell import audit
from visemix.audit.comparison import compared_files
from visemix.audit.recorded import AuditError
from visemix.audit.rerun import borrowed, work_folder
from visemix.cli import main
from visemix.config.parameters import resolve_parameters
from visemix.evaluation.predictions import metrics_of
from visemix.papers.cells import find_cell, table_names
from visemix.run.atomic import sha256_file, write_json
from visemix.tables.paper_table import build_table
from visemix.tables.results import Results

CELL = "lipgen/table3/tafm-0.1"
RUN = "runs/lipgen-R6/seed-0"
EVALUATION = "evaluations/lipgen-R6/seed-0/miniature-test"
TABLE = "tables/lipgen/table3"


@pytest.fixture
def tree(finished_run, tmp_path, monkeypatch):
    """A copy of the finished run without its videos, and the working directory."""
    folder = tmp_path / "tree"
    without = shutil.ignore_patterns("corpora", ".git", ".snakemake", "logs", "src", "tests")
    shutil.copytree(finished_run, folder, ignore=without)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def copied_rerun(monkeypatch):
    """In place of Snakemake: what is 'made again' is a copy of the record."""

    def copy(cell, parameters, config, start, folder, snakefile, cores):
        for path in compared_files(cell, parameters, start):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path)

    monkeypatch.setattr(audit_module, "rerun", copy)


def config(**changes):
    return yaml.safe_load(Path("params.yaml").read_text()) | changes


def digests(folder):
    """Time and digest of every file of the record."""
    files = [f for f in folder.rglob("*") if f.is_file() and f.parts[len(folder.parts)] != "audits"]
    return {str(f): (f.stat().st_mtime_ns, sha256_file(f)) for f in files}


def edit_json(path, **changes):
    """Change values of a JSON file; `a__b` is the key b of a."""
    content = json.loads(Path(path).read_text())
    for name, value in changes.items():
        *parents, key = name.split("__")
        inner = content
        for parent in parents:
            inner = inner[parent]
        inner[key] = value
    write_json(path, content)


def flip_byte(path):
    data = bytearray(Path(path).read_bytes())
    data[-100] ^= 1
    Path(path).write_bytes(data)


def other_answer(path):
    """Another outcome for the first clip of a prediction table."""
    predictions = pd.read_parquet(path)
    predictions.loc[0, "correct"] = not predictions.loc[0, "correct"]
    predictions.to_parquet(path, index=False)
    return predictions


def other_word(path):
    table = pd.read_parquet(path)
    table["multi_hot"] = [1 - table.multi_hot[0], *table.multi_hot[1:]]
    table.to_parquet(path, index=False)


def other_value(path):
    """The cell's accuracy, as somebody would like it to be."""
    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    table.loc[table.cell_id == CELL, "accuracy"] = "99.9"
    table.to_csv(path, index=False)


def answer_and_metrics(path):
    predictions = other_answer(path)
    changes = metrics_of(predictions) | {"predictions_sha256": sha256_file(path)}
    edit_json(Path(path).with_name("metrics.json"), **changes)


def value_and_digest(path):
    other_value(path)
    record = Path(path).with_suffix(".json")
    outputs = json.loads(record.read_text())["outputs"] | {path: sha256_file(path)}
    edit_json(record, outputs=outputs)


TAMPERING = {
    "real shard": ("data/crops/miniature-train/shard-00000.npy", flip_byte),
    "synthetic shard": ("data/crops/miniature-portrait/shard-00000.npy", flip_byte),
    "validation shard": ("data/crops/miniature-val/shard-00000.npy", flip_byte),
    "test shard": ("data/crops/miniature-test/shard-00000.npy", flip_byte),
    "index": ("data/crops/miniature-test/index.parquet", flip_byte),
    "rejects": ("data/crops/miniature-test/rejects.parquet", flip_byte),
    "manifest": ("data/crops/miniature-train/manifest.json", lambda p: edit_json(p, clips=13)),
    "mixture": ("data/mixtures/miniature-portrait-N1.json", lambda p: edit_json(p, seed=5)),
    "visemes": ("data/visemes/constructed-18.parquet", other_word),
    "weights": (f"{RUN}/model.safetensors", flip_byte),
    "history": (f"{RUN}/history.csv", flip_byte),
    "time": (f"{RUN}/training.json", lambda p: edit_json(p, wall_seconds=1.0)),
    "no JSON": (f"{RUN}/training.json", lambda p: Path(p).write_text("{")),
    "prediction": (f"{EVALUATION}/predictions.parquet", other_answer),
    "no Parquet": ("data/visemes/constructed-18.parquet", lambda p: Path(p).write_bytes(b"PAR1")),
    "metrics": (f"{EVALUATION}/metrics.json", lambda p: edit_json(p, accuracy=0.999)),
    "prediction of another row": (
        "evaluations/lipgen-R5/seed-0/miniature-test/predictions.parquet", other_answer,
    ),
    "table value": (f"{TABLE}.csv", other_value),
    "table value with its digest": (f"{TABLE}.csv", value_and_digest),
    "figure": (f"{TABLE}.png", flip_byte),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERING)
def test_a_changed_file_is_named(tree, name):
    path, tamper = TAMPERING[name]
    tamper(path)
    report = audit(CELL, config())
    assert report["verdict"] == "differs"
    assert report["first_difference"] == path
    assert path in report["reason"]
    assert report["artifacts"] == []  # nothing is made from a record that contradicts itself
    changed = [entry for entry in report["inputs"] if entry["status"] == "changed"]
    assert changed[0]["path"] == path


def test_predictions_and_their_metrics_changed_together_are_found(tree):
    answer_and_metrics(f"{EVALUATION}/predictions.parquet")
    report = audit(CELL, config())
    assert report["verdict"] == "differs"
    assert report["first_difference"] == f"{EVALUATION}/metrics.json"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"training__learning_rate": 0.5}, "training.learning_rate is 0.5 instead of 0.003"),
        ({"model__growth": 13}, "model.growth is 13 instead of 12"),
        ({"seed": 7}, "seed is 7 instead of 0"),
    ],
)
def test_a_changed_parameter_of_a_training_record_is_named(tree, changes, named):
    edit_json(f"{RUN}/training.json", **changes)
    report = audit(CELL, config())
    assert report["verdict"] == "differs"
    assert named in report["reason"]


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"training": {"learning_rate": 0.5}}, "training.learning_rate was 0.003"),
        ({"runs": {"lipgen-R6": {"lambda": 0.3}}}, "run.lambda was 0.1"),
        ({"evaluation": {"batch_size": 3}}, "evaluation.batch_size was 64"),
        ({"synthesis": {"seed": 1}}, "synthesis.seed was 0"),
        ({"seeds": [0, 1]}, "seeds was [0]"),
    ],
)
def test_a_changed_parameter_is_named(tree, override, named):
    report = audit(CELL, config(overrides=override))
    assert report["verdict"] == "differs"
    assert f"parameter {named}" in report["reason"]
    assert report["changes"][0]["what"] == report["first_difference"]


def test_parameters_that_the_cell_does_not_depend_on_may_change(tree, copied_rerun):
    override = {"runs": {"lipgen-R5": {"lambda": 0.3}}, "pose": {"seed": 3}}
    override["training"] = {"checkpoint_seconds": 1}
    report = audit("lipgen/table1/lipgen", config(overrides=override))
    assert report["verdict"] == "bitwise equal"


def test_the_audit_takes_the_config_that_the_run_was_given(tree, copied_rerun, capsys):
    parameters = Path("params.yaml")
    parameters.write_text(parameters.read_text().replace("scale: test", "scale: miniature"))
    assert main(["audit", CELL]) == 3
    assert "parameter scale was 'test'" in capsys.readouterr().out
    assert main(["audit", CELL, "--config", "scale=test"]) == 0


@pytest.mark.parametrize(
    "path",
    [
        "data/crops/miniature-train/shard-00000.npy", "data/crops/miniature-val/manifest.json",
        "data/mixtures/miniature-portrait-N1.json", "data/visemes/constructed-18.parquet",
        f"{RUN}/model.safetensors", f"{RUN}/training.json", f"{EVALUATION}/predictions.parquet",
        f"{TABLE}.csv",
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tree, path, capsys):
    Path(path).unlink()
    assert main(["audit", CELL]) == 4
    assert f"cannot be checked: {path} is missing" in capsys.readouterr().out


def test_a_cell_without_a_run_of_ours_cannot_be_checked(tree, capsys):
    assert main(["audit", "lipgen/table1/mstcn"]) == 4
    assert "quotes the value from Martinez et al." in capsys.readouterr().out
    report = json.loads(Path("audits/lipgen/table1/mstcn.json").read_text())
    assert report["verdict"] == "cannot be checked"


def test_a_record_of_a_later_version_is_not_guessed_at(tree):
    edit_json(f"{TABLE}.json", version=2)
    with pytest.raises(AuditError, match="version 2; this code reads version 1"):
        audit(CELL, config())


def test_an_unknown_cell_is_answered_with_the_nearest(tree, capsys):
    assert main(["audit", "lipgen/table3/tafm0.1"]) == 1
    assert f"nearest: {CELL}" in capsys.readouterr().err
    assert not Path("audits").exists()
    for table in table_names("lipgen"):
        assert find_cell(f"lipgen/{table}/lipgen" if table == "table1" else CELL)


def test_a_finished_run_comes_out_again_and_stays_as_it_is(tree, capsys):
    before = digests(tree)
    assert main(["audit", CELL, "--cores", "1"]) == 0
    printed = capsys.readouterr().out
    assert f"{CELL}: bitwise equal" in printed
    assert f"audits/{CELL}.html" in printed
    assert digests(tree) == before
    assert not list(Path("audits/work").glob("*/"))

    report = json.loads(Path(f"audits/{CELL}.json").read_text())
    assert report["first_difference"] is None
    assert report["changes"] == []
    made = [entry["path"] for entry in report["artifacts"]]
    assert f"{RUN}/model.safetensors" in made
    assert f"{EVALUATION}/predictions.parquet" in made
    assert report["recorded"] == report["remade"]
    assert report["comparison"]["outcome"] == "identical"
    assert report["comparison"]["n"] == report["recorded"]["n"] == 9
    recorded = [entry for entry in report["inputs"] if entry["recorded_sha256"]]
    assert {e["path"] for e in recorded} >= {path for path, _ in TAMPERING.values()}
    assert all(len(entry["sha256"]) == 64 for entry in report["inputs"])
    assert report["threads"]["training.threads"] == {"recorded": [1], "now": 1}
    assert report["device"]["device"]["now"] in report["device"]["device"]["recorded"]
    page = Path(f"audits/{CELL}.html").read_text()
    assert "Bitwise equal" in page
    assert "not a reproduction" in page and "corpus.name: miniature (paper: lrw)" in page


def forge(tree):
    """A record that agrees with itself on an answer that the model never gave."""
    answer_and_metrics(f"{EVALUATION}/predictions.parquet")
    parameters = resolve_parameters(config())
    build_table("lipgen", "table3", Results(parameters)).to_csv(f"{TABLE}.csv", index=False)
    record = json.loads(Path(f"{TABLE}.json").read_text())
    for kind in ("inputs", "outputs"):
        record[kind] = {path: sha256_file(path) for path in record[kind]}
    write_json(f"{TABLE}.json", record)


def test_a_forged_record_does_not_come_out_again(tree):
    forge(tree)
    before = digests(tree)
    report = audit(CELL, config(), start="evaluation", cores=1)
    assert report["verdict"] == "differs"
    assert report["first_difference"] == f"{EVALUATION}/predictions.parquet"
    assert "correct in 1 of 9 rows" in report["reason"]
    # one clip of nine decides nothing about other clips, and nine are too few for 1 point
    assert report["comparison"]["outcome"] == "not resolved"
    assert "with so few clips" in report["reason"]
    assert report["reason"].endswith("changed since the record: nothing that is recorded")
    assert report["remade"]["accuracy"] != report["recorded"]["accuracy"]
    assert digests(tree) == before


def test_other_bytes_can_be_equal_within_a_tolerance(tree, copied_rerun, monkeypatch, capsys):
    copy = audit_module.rerun

    def rerun_elsewhere(cell, parameters, config, start, folder, *rest):
        copy(cell, parameters, config, start, folder, *rest)
        path = folder / EVALUATION / "predictions.parquet"
        predictions = pd.read_parquet(path)
        predictions["label_probability"] *= 0.999
        predictions.to_parquet(path, index=False)

    monkeypatch.setattr(audit_module, "rerun", rerun_elsewhere)
    assert main(["audit", CELL, "--tolerance", "20"]) == 0
    assert "equal within tolerance" in capsys.readouterr().out
    assert main(["audit", CELL]) == 3
    assert "a tolerance of 17.8 points would be needed" in capsys.readouterr().out


def test_other_bytes_with_the_same_predictions_are_equal(tree, copied_rerun, monkeypatch):
    path = Path(f"{RUN}/history.csv")
    copy = audit_module.rerun

    def other_history(cell, parameters, config, start, folder, *rest):
        copy(cell, parameters, config, start, folder, *rest)
        (folder / path).write_text(path.read_text().replace("0.", "1."))

    monkeypatch.setattr(audit_module, "rerun", other_history)
    report = audit(CELL, config())
    assert report["verdict"] == "equal within tolerance"
    assert report["first_difference"] == str(path)
    assert "all predictions are the same" in report["reason"]


def test_changed_code_is_listed_and_the_rerun_decides(tree, copied_rerun):
    code = json.loads(Path(f"{TABLE}.json").read_text())["code"]
    edit_json(f"{TABLE}.json", code=code | {"models/dctcn.py": "0" * 64})
    report = audit(CELL, config())
    assert report["verdict"] == "bitwise equal"
    assert [change["what"] for change in report["changes"]] == ["module models/dctcn.py"]


def test_a_record_from_before_tables_had_one_can_be_audited(tree, copied_rerun):
    Path(f"{TABLE}.json").unlink()
    metrics = json.loads(Path(f"{EVALUATION}/metrics.json").read_text())
    later = ("predictions_sha256", "crops_manifest_sha256", "rejects_sha256", "evaluation")
    old = {name: value for name, value in metrics.items() if name not in later}
    write_json(f"{EVALUATION}/metrics.json", old | {"version": 1})
    report = audit(CELL, config())
    assert report["verdict"] == "bitwise equal"
    predictions = [e for e in report["inputs"] if e["path"].endswith("R6/seed-0/predictions")]
    assert all(entry["recorded_sha256"] is None for entry in predictions)
    assert "before tables kept a record" in Path(f"audits/{CELL}.html").read_text()


def test_an_interrupted_audit_leaves_nothing_half_written(tree, copied_rerun, monkeypatch):
    audit(CELL, config())
    earlier, record = digests(tree / "audits"), digests(tree)

    def interrupted(cell, parameters, config, start, folder, *_):
        (folder / "runs").mkdir()
        (folder / "runs" / "half").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(audit_module, "rerun", interrupted)
        with pytest.raises(KeyboardInterrupt):
            audit(CELL, config())
        with pytest.raises(KeyboardInterrupt):
            audit("lipgen/table3/vislabel", config())
    half = [p for p in digests(tree / "audits") if "audits/work/" not in p]
    assert half == [p for p in earlier if "audits/work/" not in p]
    assert digests(tree) == record
    assert audit(CELL, config())["verdict"] == "bitwise equal"


def test_a_run_that_outlived_its_audit_is_left_alone(tree, copied_rerun):
    with work_folder(find_cell(CELL), keep=False):
        orphan = subprocess.Popen(["sleep", "600"], close_fds=False)
    with pytest.raises(AuditError, match="another audit"):
        audit(CELL, config())
    orphan.kill()
    orphan.wait()
    assert audit(CELL, config())["verdict"] == "bitwise equal"


def test_what_no_rule_makes_is_borrowed_for_a_run_from_the_corpus_on():
    config = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    licensed = resolve_parameters(config | {"scale": "paper"}, REPOSITORY)
    assert borrowed(find_cell(CELL), licensed, "corpus") == [
        Path("data/corpora/lrw"), Path("data/portraits"),
    ]  # fmt: skip
    ours = resolve_parameters(config, REPOSITORY)
    assert borrowed(find_cell(CELL), ours, "corpus") == []


def test_a_run_that_fails_is_trouble_and_no_verdict(tree, capsys, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, stdout="")
    monkeypatch.setattr("visemix.audit.rerun.subprocess.run", lambda *_, **__: failed)
    assert main(["audit", CELL]) == 1
    assert "snakemake.log" in capsys.readouterr().err
    assert not Path(f"audits/{CELL}.json").exists()


def test_the_snakemake_target_brings_nothing_up_to_date_first(finished_run):
    changed = ("--config", "overrides={training: {steps: 7}}")
    assert planned_jobs(finished_run, f"audits/{CELL}.json", *changed) == {"audit": 1}


def test_the_snakemake_target_writes_a_verdict(tree):
    Path(f"{TABLE}.csv").unlink()
    snakemake(tree, f"audits/{CELL}.json")
    report = json.loads((tree / f"audits/{CELL}.json").read_text())
    assert report["verdict"] == "cannot be checked"
    assert planned_jobs(tree, f"audits/{CELL}.json") == {}
