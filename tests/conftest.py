"""Fixtures shared by all tests. `finished_run` is the whole DAG at scale `test`, run once."""

import re
import shutil
from pathlib import Path

import pytest

from tests.helpers.real_clips import REAL_CLIPS, copy_named
from tests.helpers.workflow import REPOSITORY, git, snakemake


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
    """A clone of this repository with a finished run of the default target; do not change it.

    Its params.yaml says `scale: test`, as a user would write it.
    """
    clone = tmp_path_factory.mktemp("finished-run") / "visemix"
    files = git(REPOSITORY, "ls-files", "--cached", "--others", "--exclude-standard").split("\n")
    for name in filter(None, files):
        if (REPOSITORY / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, clone / name)
    parameters = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(
        re.sub(r"^scale: \w+", "scale: test", parameters, flags=re.M)
    )
    git(clone, "init", "--quiet")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "clone")
    snakemake(clone)
    return clone
