"""What `visemix plan` says of scale test is what the finished run did."""

import pandas as pd
import pytest
from tests.helpers.workflow import planned_jobs

from visemix.cli import main
from visemix.plan import make_plan, read_parameters

FRAME = 96 * 96  # bytes
HEADER = 128  # bytes of a shard
SETS = {"crops": ["train", "val", "test"], "pose_crops": ["pose"], "synthesis": ["portrait"]}


@pytest.fixture
def jobs(finished_run, monkeypatch):
    """{rule: number} of the finished run, in whose folder the test runs."""
    monkeypatch.chdir(finished_run)
    jobs = planned_jobs(finished_run, "--forceall")
    return {rule: number for rule, number in jobs.items() if rule != "all"}


def test_clips_disk_and_hours(finished_run, jobs):
    plan = make_plan(jobs, read_parameters(), gpus=0, cores=2).set_index("rule")
    for rule, names in SETS.items():
        folders = [finished_run / f"data/crops/miniature-{name}" for name in names]
        accepted = pd.concat(pd.read_parquet(folder / "index.parquet") for folder in folders)
        rejected = sum(len(pd.read_parquet(folder / "rejects.parquet")) for folder in folders)
        assert plan.work[rule] == len(accepted) + rejected
        shards = [shard for folder in folders for shard in folder.glob("*.npy")]
        written = sum(shard.stat().st_size - HEADER for shard in shards)
        assert written == accepted["length"].sum() * FRAME
        assert plan.disk_bytes[rule] == written + rejected * 29 * FRAME
    # of the right order: CPU seconds that Snakemake recorded, on whatever machine this is
    records = [pd.read_csv(file, sep="\t") for file in finished_run.glob("logs/**/*.tsv")]
    recorded = pd.to_numeric(pd.concat(records)["cpu_time"], errors="coerce").sum() / 3600
    assert plan["cpu_hours_low"].sum() / 3 < recorded < plan["cpu_hours_high"].sum() * 3


def test_the_command_prints_every_step_and_the_sum(jobs, capsys):
    assert main(["plan", "--cores", "2", "--gpus", "0"]) == 0
    said = capsys.readouterr().out
    counts = {line.split()[0]: line.split()[1] for line in said.splitlines() if line.strip()}
    assert {rule: counts[rule] for rule in jobs} == {r: str(n) for r, n in jobs.items()}
    assert counts["total"] == str(sum(jobs.values()))
    assert "unknown" not in said
