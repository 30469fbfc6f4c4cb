"""What several test processes share is made by one of them."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path


def made_once(base: Path, name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name`, filled by `make(folder)` in the first process that asks.

    base: the temporary folder of this process, `tmp_path_factory.getbasetemp()`; those of
    pytest-xdist's processes lie in one folder. The others wait; where `make` raised, the next
    process makes the folder afresh.
    """
    shared = base.parent if base.name.startswith("popen-") else base
    folder, done = shared / name, shared / f"{name}.done"
    with open(shared / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
