import pytest

from visemix.run.atomic import atomic_folder


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "report") as folder:
            (folder / name).write_text(name)
    assert content(tmp_path / "report") == {"new": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_the_old_folder_stays_when_the_new_one_fails(tmp_path):
    with atomic_folder(tmp_path / "report") as folder:
        (folder / "page").write_text("old")
    with (
        pytest.raises(RuntimeError, match="half way"),
        atomic_folder(tmp_path / "report") as folder,
    ):
        (folder / "page").write_text("new")
        assert content(tmp_path / "report") == {"page": "old"}
        raise RuntimeError("half way")
    assert content(tmp_path / "report") == {"page": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_remains_of_a_killed_process_are_no_part_of_the_new_folder(tmp_path):
    (tmp_path / ".report.partial").mkdir()
    (tmp_path / ".report.partial/remains").write_text("half")
    with atomic_folder(tmp_path / "report") as folder:
        (folder / "page").write_text("new")
    assert content(tmp_path / "report") == {"page": "new"}
