"""Where a result comes from: digests of the code and of the environment that made it."""

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from visemix.run.atomic import sha256_file
from visemix.run.gpus import driver_version, visible_gpus

LIBRARIES = ("torch", "numpy", "scipy", "pandas", "onnxruntime", "opencv-python-headless", "av")


def code_digest(*parts: str) -> str:
    """sha256 (first 16 hexadecimal digits) over the files of modules or packages of visemix.

    `parts` are names such as 'models' or 'clips.mixture'. Rules carry it as a parameter: Snakemake
    itself notices changes of a rule's script, but not of the library modules it imports.
    Raises FileNotFoundError for a name that is no module.
    """
    root, digest = _root(), hashlib.sha256()
    for file in _code_files(*parts):
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def module_digests(*parts: str) -> dict[str, str]:
    """{file: sha256} over the files that `code_digest` takes together, e.g. 'clips/mixture.py'."""
    return {str(file.relative_to(_root())): sha256_file(file) for file in _code_files(*parts)}


def _root() -> Path:
    return Path(str(files("visemix")))


def _code_files(*parts: str) -> list[Path]:
    found = []
    for part in parts:
        path = _root().joinpath(*part.split("."))
        module = [path.with_suffix(".py")] if path.with_suffix(".py").is_file() else []
        inside = [f for f in path.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
        if not module and not path.is_dir():
            raise FileNotFoundError(f"visemix has no module {part!r}")
        found += module + sorted(inside)
    return found


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
