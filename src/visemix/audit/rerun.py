"""Make one cell again, by Snakemake, in a directory of its own that borrows the recorded inputs."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from visemix.audit.recorded import AuditError
from visemix.papers.cells import Cell, evaluation_files
from visemix.run.atomic import write_text
from visemix.tables.lineage import Step, given_inputs, steps_of
from visemix.tables.results import Results

# The step from which on a cell is re-run, and the rules that this takes; None: all rules.
STARTS = {
    "training": ["mixture_real", "mixture_synthetic", "train", "evaluate"],
    "evaluation": ["evaluate"],
    "corpus": None,
}


@contextmanager
def work_folder(cell: Cell, keep: bool) -> Iterator[Path]:
    """An empty folder below audits/work, gone afterwards unless `keep` or an error says otherwise.

    Raises AuditError while another audit of the same cell is at work there.
    """
    folder = Path("audits/work") / cell.id.replace("/", "-")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AuditError(f"another audit of {cell.id} is at work in {folder}") from None
        os.set_inheritable(lock.fileno(), True)  # a Snakemake that outlives this process holds it
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
        if not keep:
            shutil.rmtree(folder)


def rerun(
    cell: Cell, parameters: dict, config: dict, start: str, folder: Path, snakefile: Path, cores
) -> None:
    """Make the evaluations of a cell, for all its seeds, again in `folder`.

    config: what Snakemake is to take as params.yaml. Inputs are symbolic links to the record: no
    rule that is allowed here writes to any of them. Raises AuditError when Snakemake fails.
    """
    for path in borrowed(cell, parameters, start):
        link = folder / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.absolute(), target_is_directory=path.is_dir())
    write_text(folder / "params.yaml", yaml.safe_dump(config))
    rules = STARTS[start]
    log = folder / "snakemake.log"
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(snakefile.absolute()),
        "--directory", str(folder), "--configfile", str(folder / "params.yaml"),
        "--cores", str(cores), *(["--allowed-rules", *rules] if rules else []), "--",
        *map(str, evaluation_files([cell.own_run], cell.test_set, parameters)),
    ]  # fmt: skip
    print(f"making {cell.id} again from {start} on; log: {log}", file=sys.stderr)
    with open(log, "w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, close_fds=False)
    if done.returncode:
        end = "\n".join(log.read_text().splitlines()[-20:])
        raise AuditError(f"the run in {folder} failed; the end of {log}:\n{end}")


def borrowed(cell: Cell, parameters: dict, start: str) -> list[Path]:
    """Recorded inputs from which a cell is re-run from `start` on, as paths in the record."""
    if start == "corpus":
        return [path for path in given_inputs(parameters) if not path.is_absolute()]
    steps = remade_steps(cell, parameters, start)
    made = {step.writes for step in steps}
    read = [Path(file) for step in steps for file in step.reads if file not in made]
    folders = (".json", ".safetensors")  # crop sets and trainings: all that lies beside these files
    return list(dict.fromkeys(p.parent if p.suffix in folders else p for p in read))


def remade_steps(cell: Cell, parameters: dict, start: str) -> list[Step]:
    """The recorded steps that making a cell again from `start` on repeats."""
    steps, rules = steps_of(cell, Results(parameters), parameters["seeds"])[:-1], STARTS[start]
    return [step for step in steps if rules is None or step.rule in rules]
