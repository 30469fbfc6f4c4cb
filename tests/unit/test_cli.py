"""Wrong input to `visemix` ends in one line on standard error that names it and a remedy."""

import shutil
import subprocess
import sys

import pytest
from tests.helpers.workflow import REPOSITORY

from visemix.cli import main

AUDIT = ("audit", "lipgen/table3/tafm-0.1")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the parameters of the project, and nothing made."""
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    shutil.copytree(REPOSITORY / "scales", tmp_path / "scales")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (("plan", "--scale", "nosuch"), "scale: 'nosuch' is unknown; choose one of miniature, "),
        (("plan",), "`snakemake --dry-run` fails here and ends with: "),
        (("audit", "nosuch/cell"), "no cell 'nosuch/cell' in papers/*.yaml; nearest: "),
        ((*AUDIT, "--config", "scale=nosuch"), "scale: 'nosuch' is unknown; choose one of "),
        ((*AUDIT, "--config", "scale"), "--config 'scale' is not KEY=VALUE"),
        ((*AUDIT, "--config", "overrides={a"), "--config 'overrides={a': the value is not YAML"),
        (
            (*AUDIT, "--config", "runs={lipgen-R99: {lambda: 0.1}}"),
            "runs.lipgen-R99: no run 'lipgen-R99' in papers/*.yaml; nearest: ",
        ),
        ((*AUDIT, "--tolerance", "-1"), "the tolerance is -1.0; give percentage points from 0"),
        (("record",), "`snakemake --dry-run` fails here and ends with: "),
        (("restore",), "no dvc.lock here: "),
        (("track",), "no tracking/<paper>.json here; "),
        (("corpora", "nosuch"), "nosuch: no such folder; "),
        (("corpora", "."), "no known corpus in ."),
    ],
)
def test_wrong_input(project, capsys, command, answer):
    assert main(list(command)) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("+ ")]
    assert len(said) == 1 and said[0].startswith(f"visemix {command[0]}: {answer}")


@pytest.mark.parametrize("command", [("plan",), AUDIT])
def test_parameters_that_are_not_yaml(project, capsys, command):
    (project / "params.yaml").write_text("seeds: [0\n")
    assert main(list(command)) == 1
    said = capsys.readouterr().err
    assert (
        said.startswith(f"visemix {command[0]}: params.yaml: not YAML: ") and said.count("\n") == 1
    )


@pytest.mark.parametrize(
    "command",
    [("plan", "--cores", "0"), (*AUDIT, "--cores", "some"), ("corpora", "--workers=0", ".")],
)
def test_numbers_of_cores(command, capsys):
    with pytest.raises(SystemExit) as exit:
        main(list(command))
    assert exit.value.code == 2
    assert "is not allowed; give a whole number from 1" in capsys.readouterr().err


def test_the_command_starts_without_what_is_slow_to_import():
    code = "import sys, visemix.cli; print({'torch', 'mlflow', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
