"""Fixtures shared by all tests. `finished_run` is the whole DAG at scale `test`, run once."""

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers.once import made_once
from tests.helpers.real_clips import REAL_CLIPS, copy_named
from tests.helpers.workflow import clone_and_run

settings.register_profile("any machine", deadline=None)  # no test depends on time
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def real_clips(tmp_path_factory) -> Path:
    """Real talking faces: eight clips of GRID in `grid`, twelve words of them in `lrw_layout`.

    A copy of the clips that tests know by name: they count, and others may lie beside them.
    """
    if not REAL_CLIPS.is_dir():
        pytest.skip(f"no real clips at {REAL_CLIPS}")
    return copy_named(REAL_CLIPS, tmp_path_factory.mktemp("real-clips"))


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """This process's clone of the repository with a finished run of the default target.

    Its params.yaml says `scale: test`, as a user would write it. Do not change it. The run is made
    once for all processes; each has a copy, because Snakemake writes notes also where it looks.
    """
    made = made_once(tmp_path_factory.getbasetemp(), "finished-run", clone_and_run)
    return shutil.copytree(made, tmp_path_factory.mktemp("finished-run") / "visemix", symlinks=True)
