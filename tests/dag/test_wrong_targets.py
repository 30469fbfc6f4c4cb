"""A target or a parameter that there is not is answered in one line that says what there is."""

import pytest
from tests.helpers.workflow import snakemake

EVALUATION = "evaluations/lipgen-R6/seed-0"


def refusal(directory, *arguments):
    """The last line that Snakemake says; it is no traceback, and nothing has been done."""
    done = snakemake(directory, *arguments, check=False)
    said = (done.stdout + done.stderr).strip()
    assert done.returncode == 1, said
    assert not [line for line in said.splitlines() if line.strip().startswith("File ")], said
    assert "Traceback" not in said and "Exception" not in said, said
    assert not list(directory.glob("data")) and not list(directory.glob("audits"))
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("tables/lipgen/tabel3.csv", "no table 'tabel3' in papers/lipgen.yaml; nearest: table3"),
        ("tables/lipgen/table9-angles.csv", "no table 'table9' in papers/lipgen.yaml; nearest: "),
        ("tables/lipgan/power.csv", "no paper 'lipgan' under papers/; there are: audiovsr, lip"),
        ("tables/audiovsr/table1.csv", "papers/audiovsr.yaml gives it no run"),
        ("tracking/lipgan.json", "no paper 'lipgan' under papers/; there are: audiovsr, lipgen"),
        ("runs/lipgen-R99/seed-0/training.json", "no run 'lipgen-R99' in papers/*.yaml; nearest: "),
        ("runs/lipgen-r6/seed-0/training.json", "nearest: lipgen-R6"),
        ("runs/lipgen-R3-portrat-N1/seed-0/training.json", "no generator 'portrat' in the name of"),
        (
            f"{EVALUATION}/miniature-tset/metrics.json",
            "no test set 'tset' in the workflow; nearest",
        ),
        (f"{EVALUATION}/miniature-pase-shuffled/metrics.json", "no test set 'pase' in the work"),
        (EVALUATION.replace("R6", "R66") + "/miniature-test/metrics.json", "no run 'lipgen-R66'"),
        ("data/mixtures/miniature-portrait-Nx.json", "N is 'x'; write a number from 0"),
        ("audits/lipgen/table3/tafm0.1.json", "nearest: lipgen/table3/tafm-0.1"),
    ],
)
def test_a_wrong_target(tmp_path, target, answer):
    assert answer in refusal(tmp_path, target)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ("scale=tset", "scale: 'tset' is unknown; choose one of miniature, "),
        ("overrides={training: {stepz: 7}}", "overrides.training.stepz: unknown key; did you mean"),
        ("overrides={beta: {run: lipgen-R33}}", "beta.run: no run 'lipgen-R33' in papers/*.ya"),
        ("overrides={runs: {lipgen-R99: {lambda: 0.1}}}", "runs.lipgen-R99: no run 'lipgen-R99'"),
        ("overrides={runs: {lipgen-R3-real: {lambda: 0.1}}}", "runs.lipgen-R3-real: no run"),
        ("overrides={runs: {lipgen-R6: {repeats: .inf}}}", "runs.lipgen-R6: synthetic = True"),
        ("overrides={generators: {lip_reader: R2}}", "generators.lip_reader: no run 'R2'"),
        ("overrides={visemes: {map: lipgen}}", "visemes.map: no viseme map 'lipgen'; known maps: "),
    ],
)
def test_a_wrong_parameter(tmp_path, change, answer):
    assert answer in refusal(tmp_path, "--dry-run", "--config", "scale=test", change)


def test_several_wrong_keys_are_a_line_each(tmp_path):
    change = "overrides={training: {stepz: 7, stopz: 7}}"
    done = snakemake(tmp_path, "--dry-run", "--config", "scale=test", change, check=False)
    keys = [line.split(":")[0] for line in done.stderr.strip().splitlines()[-2:]]
    assert keys == ["overrides.training.stepz", "overrides.training.stopz"]
