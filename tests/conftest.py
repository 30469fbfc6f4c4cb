from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_clips() -> Path:
    """Folder of real talking faces (GRID clips, and words of them in LRW's layout)."""
    folder = REPOSITORY.parent / "shared" / "real_clips"
    if not folder.is_dir():
        pytest.skip(f"no real clips at {folder}")
    return folder
