"""Start a published script as `python` would, with every random generator seeded and no downloads.

Copied into the working copy and run by the program's own Python (3.6 or newer), there:
`python launch.py SEED PRELUDE (script.py | -m module) [arguments]`. PRELUDE is a file of Python
that runs first (a repair of the published code), or '-'.
"""

import os
import random
import runpy
import sys

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")


def seed_everything(seed):
    random.seed(seed)
    try:
        import numpy

        numpy.random.seed(seed)  # noqa: NPY002 (what the programs draw from)
    except ImportError:
        pass
    try:
        import torch

        torch.manual_seed(seed)
    except ImportError:
        pass


if __name__ == "__main__":
    for name in OFFLINE:
        os.environ.setdefault(name, "1")
    seed, prelude = int(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[3:]
    sys.path[0] = os.getcwd()
    seed_everything(seed)
    if prelude != "-":
        runpy.run_path(prelude)
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
