"""What a user has installed of a published program: repository, environment, weights.

All that is missing is said in one message: what to fetch from where, where to put it, and which
licence comes with it.
"""

import json
import logging
import shutil
import subprocess
from pathlib import Path

from visemix.generators.external.description import Program
from visemix.run.atomic import sha256_bytes, sha256_file

PROBE_SECONDS = 300  # a container may have to be started
# Versions without importing the libraries; Python 3.6 and 3.7 have no importlib.metadata.
_PROBE = """
import json, sys
found = {"python": sys.version.split()[0]}
try:
    from importlib.metadata import PackageNotFoundError, version
except ImportError:
    version = None
for name in ("torch", "numpy", "diffusers", "librosa") if version else ():
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""
log = logging.getLogger(__name__)


class InstallationError(ValueError):
    """A published program cannot be run; the message lists what is missing, and remedies."""


def words(settings: dict, work: Path) -> list[str]:
    """The command that stands for `python`: a path, or words with {repository} and {work} in them.

    `work` is the working copy, the only folder beside the repository that a container must see.
    """
    python = settings["python"]
    names = {"{repository}": str(Path(settings["repository"]).resolve()), "{work}": str(work)}
    command = []
    for word in [python] if isinstance(python, str) else python:
        for name, value in names.items():
            word = word.replace(name, value)
        command.append(word)
    if "/" in command[0]:  # relative to where the user stands, not to the working copy
        command[0] = str(Path(command[0]).absolute())  # not resolved: a venv's python is a link
    return command


def inspect(program: Program, settings: dict) -> dict:
    """What was found: commit, changes to it, versions of the environment, sha256 of the weights.

    Raises InstallationError with everything that is missing or differs.
    """
    repository = Path(settings["repository"])
    problems: list[str] = []
    found: dict = {}
    if repository.is_dir():
        found |= _checkout(program, repository)
    else:
        problems.append(
            f"repository {repository}: no such folder; git clone {program.source}, check out "
            f"{program.commit}, and set external.{program.name}.repository to it"
        )
    try:
        found["environment"] = _environment(settings)
    except InstallationError as error:
        problems.append(f"{error}; it needs: {program.environment}")
    if repository.is_dir():
        found["weights"], missing = _weights(program, settings, repository)
        problems += missing
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise InstallationError(
            f"{program.name} cannot be run:\n{lines}\n  Licence: {program.licence}"
        )
    return found


def _checkout(program: Program, repository: Path) -> dict:
    """Commit of the repository and digest of the changes made to it."""
    commit = _git(repository, "rev-parse", "HEAD")
    if commit is None:
        log.warning("%s is no git checkout: which code made the clips is not known", repository)
        return {"commit": None}
    if not commit.startswith(program.commit):
        log.warning(
            "%s is at commit %s; the command line was written for %s",
            repository, commit[:12], program.commit,
        )  # fmt: skip
    changes = _git(repository, "diff", "HEAD") or ""
    return {"commit": commit, "changes": sha256_bytes(changes.encode())[:16] if changes else None}


def _git(repository: Path, *arguments: str) -> str | None:
    """Output of git, None where the folder is not the top of a checkout."""
    if not (repository / ".git").exists() or shutil.which("git") is None:
        return None
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, text=True, errors="replace"
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _environment(settings: dict) -> dict:
    """Versions in the program's environment. Raises InstallationError if it does not start."""
    repository = Path(settings["repository"])
    command = words(settings, repository.resolve())
    if shutil.which(command[0]) is None:
        raise InstallationError(f"environment: no program {command[0]}")
    try:
        done = subprocess.run(
            [*command, "-c", _PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])
        reason = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
    except subprocess.TimeoutExpired:
        reason = f"no answer in {PROBE_SECONDS} s"
    except (OSError, ValueError, IndexError) as error:
        reason = f"not a Python ({error})"
    raise InstallationError(f"environment: {' '.join(command)} does not start Python: {reason}")


def _weights(program: Program, settings: dict, repository: Path) -> tuple[dict, list[str]]:
    """sha256 of each file, and what is missing or differs; the user's sha256 comes first."""
    known = {path: weight.sha256 for path, weight in program.weights.items()}
    known |= {path: digest for path, digest in settings["weights"].items() if digest is not None}
    known |= {path: None for path in settings["weights"] if path not in known}
    digests, problems = {}, []
    for path, wanted in known.items():
        weight, file = program.weights.get(path), repository / path
        source = f"get it from {weight.source}" if weight else "named in params.yaml only"
        if not file.is_file():
            problems.append(f"weights {path}: missing; {source}, and put it at {file}")
            continue
        digests[path] = sha256_file(file)
        if wanted and not digests[path].startswith(wanted):
            problems.append(
                f"weights {file}: sha256 is {digests[path]}, not {wanted}; the file is damaged or "
                f"another version, {source}"
            )
        elif not wanted:
            log.info("weights %s: sha256 %s, recorded on first use", path, digests[path])
    return digests, problems
