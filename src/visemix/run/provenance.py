"""Where a result comes from: digests of the code and of the environment that made it."""

import ast
import hashlib
import os
import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import resolve_name
from itertools import takewhile
from os import PathLike
from pathlib import Path

from visemix.run.atomic import sha256_file
from visemix.run.gpus import driver_version, visible_gpus

PACKAGE = Path(__file__).parents[1]

LIBRARIES = ("torch", "numpy", "scipy", "pandas", "onnxruntime", "opencv-python-headless", "av")


@cache
def code_digest(*entries: str | PathLike) -> str:
    """sha256 (first 16 hexadecimal digits) over the code that modules or scripts make use of.

    entries: names of modules such as 'visemix.training.words' (a module's own is `__name__`), or
    paths of scripts; see code_files. Rules carry it as a parameter: Snakemake itself notices
    changes of a rule's script, but not of the library modules it imports.
    """
    digest = hashlib.sha256()
    for file, found in module_digests(*entries).items():
        digest.update(f"{file} {found}\n".encode())
    return digest.hexdigest()[:16]


def module_digests(*entries: str | PathLike) -> dict[str, str]:
    """{file: sha256} over the files that `code_digest` takes together, e.g. 'clips/mixture.py'."""
    return {str(f.relative_to(PACKAGE)): sha256_file(f) for f in code_files(*entries)}


def code_files(*entries: str | PathLike, package: Path | None = None) -> list[Path]:
    """Files of a package that modules or scripts make use of, sorted; without the scripts.

    Imports are followed by the syntax tree: those inside functions and relative ones too, modules
    among the names of `from x import y`, and the `__init__` of each package on the way. Data (and
    scripts) count where a module names them as `files("visemix.heads") / "data" / "x.npz"`: the
    file, or all data of the folder that the literal names lead to. A module that is named only in
    a table of strings, as generators are, is an entry of its own. Raises FileNotFoundError for an
    entry that is no module.
    """
    package, scripts, ahead = package or PACKAGE, set(), []
    for entry in map(str, entries):
        if entry.endswith(".py"):
            scripts.add(Path(entry))
        elif (modules := _modules(entry, package)) == _modules(entry.rpartition(".")[0], package):
            raise FileNotFoundError(f"{package.name} has no module {entry!r}")
        else:
            ahead += modules
    found, ahead = set(), [*ahead, *scripts]
    while ahead:
        if (file := ahead.pop()) not in found:
            found.add(file)
            ahead += _used(file, package)
    return sorted(found - scripts)


def _modules(name: str, package: Path) -> list[Path]:
    """The files that importing a name executes: of its packages, and its own if it is a module."""
    parts, found = name.split("."), []
    for depth in range(1, len(parts) + 1):
        path = package.parent.joinpath(*parts[:depth])
        candidates = [path / "__init__.py", path.with_name(f"{path.name}.py")]
        found += [file for file in candidates if parts[0] == package.name and file.is_file()]
    return found


@cache
def _used(file: Path, package: Path) -> list[Path]:
    """Files of the package that a Python file imports, or names as data."""
    if file.suffix != ".py":
        return []
    source = file.read_text()
    tree, names = ast.parse(source, file), []
    inside = package in file.parents
    own = ".".join(file.parent.relative_to(package.parent).parts) if inside else ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = resolve_name("." * node.level + (node.module or ""), own)
            names += [f"{start}.{alias.name}" for alias in node.names]
    found = [module for name in names for module in _modules(name, package)]
    if "importlib" in source and "files(" in source:
        found += [data for parts in _named(tree, own) for data in _data(parts, package)]
    return found


def _named(node: ast.AST, own: str) -> Iterator[list[str]]:
    """Literal parts of every `files("visemix.heads") / "data" / name`, a * for what is none."""
    if parts := _parts(node, own):
        yield parts
    else:
        for child in ast.iter_child_nodes(node):
            yield from _named(child, own)


def _parts(node: ast.AST, own: str) -> list[str]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left = _parts(node.left, own)
        return left and [
            *left, str(node.right.value) if isinstance(node.right, ast.Constant) else "*"
        ]  # fmt: skip
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "files":
        named = [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
        return (named or [own])[0].split(".")
    return []


def _data(parts: list[str], package: Path) -> list[Path]:
    """The file that literal names lead to, or all files of the folder that are no modules."""
    if parts[0] != package.name:
        return []
    path = package.parent.joinpath(*takewhile("*".__ne__, parts))
    if path.is_file():
        return [path]
    return [f for f in path.rglob("*") if f.is_file() and f.suffix not in (".py", ".pyc")]


def environment() -> dict:
    """Python, processor, libraries, CUDA, cuDNN and GPU driver, for the record of a run.

    The last three are None where this process sees no GPU that torch can use.
    """
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        **_gpu_versions(),
    }


def _gpu_versions() -> dict[str, str | None]:
    """The CUDA and cuDNN that torch works with, such as '12.8' and '9.10.2', and the driver."""
    if not visible_gpus():
        return dict.fromkeys(("cuda", "cudnn", "driver"))
    import torch  # late: much of what asks for the environment of a CPU has no other use for it

    if not torch.cuda.is_available():
        return dict.fromkeys(("cuda", "cudnn", "driver"))
    cudnn = torch.backends.cudnn.version() or 0  # 91002 is 9.10.2; before 9.0, 8902 was 8.9.2
    major = 10_000 if cudnn >= 90_000 else 1000
    parts = (cudnn // major, cudnn % major // 100, cudnn % 100)
    return {
        "cuda": torch.version.cuda,
        "cudnn": ".".join(map(str, parts)) if cudnn else None,
        "driver": driver_version(),
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # another build of it may serve, such as desktop OpenCV
        return "not installed under this name"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
