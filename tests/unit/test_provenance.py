"""Digests of code follow what a module imports, and nothing else."""

import re
from pathlib import Path

import pytest

from visemix.config.generator_names import GENERATORS
from visemix.run.provenance import PACKAGE, code_digest, code_files, module_digests

SCRIPTS = PACKAGE.parents[1] / "workflow_scripts"


@pytest.fixture
def files_of(tmp_path):
    """Write a package `toy` from {file: content}; gives what an entry makes use of, as names."""

    def files_of(content, entry):
        package = tmp_path / "toy"
        for name, text in content.items():
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(text)
        entry = tmp_path / entry if entry.endswith(".py") else entry
        return [str(f.relative_to(package)) for f in code_files(entry, package=package)]

    return files_of


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import toy.b", ["b.py"]),
        ("import os, toy.b as other", ["b.py"]),
        ("from toy import b", ["b.py"]),
        ("from toy.b import (\n    value,\n)", ["b.py"]),
        ("from . import b", ["b.py"]),
        ("from .b import value", ["b.py"]),
        ("def later():\n    from toy.b import value", ["b.py"]),
        ("try:\n    import toy.b\nexcept ImportError:\n    pass", ["b.py"]),
        ("from toy.inner.c import value", ["inner/__init__.py", "inner/c.py"]),
        ("from toy.inner import c", ["inner/__init__.py", "inner/c.py"]),
        ("import toy.inner", ["inner/__init__.py"]),
        ("import toyota.b, b, os.path", []),
        ("'''import toy.b'''  # from toy import b", []),
        ("TABLE = {'b': 'toy.b'}", []),
    ],
)
def test_every_kind_of_import_is_followed(files_of, line, found):
    content = {"a.py": line, "b.py": "", "inner/__init__.py": "", "inner/c.py": ""}
    assert files_of(content, "toy.a") == ["a.py", *found]


def test_imports_are_followed_through_chains_and_circles(files_of):
    content = {
        "__init__.py": "", "a.py": "from .b import x", "b.py": "from .inner import c",
        "inner/__init__.py": "from ..d import y", "inner/c.py": "import toy.a", "d.py": "",
        "unused.py": "import toy.a",
    }  # fmt: skip
    found = ["__init__.py", "a.py", "b.py", "d.py", "inner/__init__.py", "inner/c.py"]
    assert files_of(content, "toy.a") == found
    # a package is its __init__, and those of the packages around it
    assert files_of({}, "toy.inner") == ["__init__.py", "d.py", "inner/__init__.py"]


def test_a_script_is_an_entry_but_no_part_of_the_digest(files_of, tmp_path):
    (tmp_path / "step.py").write_text("if True:\n    from toy.a import x")
    assert files_of({"a.py": "import toy.b", "b.py": "", "c.py": ""}, "step.py") == ["a.py", "b.py"]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ('files("toy.inner") / "data" / "one.csv"', ["inner/data/one.csv"]),
        ('Path(str(files("toy.inner") / "data" / "one.csv"))', ["inner/data/one.csv"]),
        ('(files("toy.inner") / "data" / f"{name}.csv").read_text()',
         ["inner/data/one.csv", "inner/data/two.csv"]),
        ('files("toy.inner") / name / "one.csv"',
         ["inner/data/one.csv", "inner/data/two.csv", "inner/page.html"]),
        ('files("toy.inner").joinpath("page.html")',
         ["inner/data/one.csv", "inner/data/two.csv", "inner/page.html"]),
        ('importlib.resources.files("toy.inner") / "page.html"', ["inner/page.html"]),
        ('files(__package__) / "top.txt"', ["top.txt"]),
        ('files("other") / "top.txt"', []),
        ('files("toy.inner") / "child.py"', ["inner/__init__.py", "inner/child.py"]),
        ('open("top.txt")', []),
    ],
)  # fmt: skip
def test_data_count_where_a_module_names_them(files_of, expression, found):
    content = {
        "a.py": f"from importlib.resources import files\ntext = {expression}",
        "top.txt": "", "inner/data/one.csv": "", "inner/data/two.csv": "", "inner/page.html": "",
        "inner/child.py": "import toy.inner", "inner/__init__.py": "",
    }  # fmt: skip
    assert files_of(content, "toy.a") == sorted(["a.py", *found])


def test_an_entry_that_is_no_module_is_refused(files_of):
    with pytest.raises(FileNotFoundError, match=r"toy has no module 'toy\.b'"):
        files_of({"__init__.py": "", "a.py": ""}, "toy.b")
    with pytest.raises(FileNotFoundError, match="no module 'models'"):
        code_digest("models")


def used(*entries):
    return set(module_digests(*entries))


def test_a_training_depends_on_augmentation_and_network_but_on_no_page():
    found = used(SCRIPTS / "train.py")
    assert {"clips/augmentation.py", "models/dctcn.py", "training/words.py"} <= found
    assert not [
        name for name in found if name.startswith(("report/", "audit/", "cli.py", "heads/"))
    ]


@pytest.mark.parametrize("generator", ["lam", "aniportrait-small"])
def test_a_trained_generator_depends_on_the_sampler_of_clips(generator):
    found = used(SCRIPTS / "train_generator.py", GENERATORS[generator])
    assert {"clips/sampler.py", "training/checkpoints.py"} <= found
    assert ("clips/augmentation.py" in found) == (generator == "lam")


def test_a_generator_depends_on_no_other():
    found = used(SCRIPTS / "train_generator.py", GENERATORS["lam"])
    others = ("portrait.py", "viseme.py", "wav2lip/", "aniportrait_small/")
    assert not [name for name in found if name.startswith(tuple(f"generators/{o}" for o in others))]
    assert "generators/lam/training.py" in found  # imported when it is called for


def test_a_set_of_one_generator_depends_on_no_other_program():
    found = used(SCRIPTS / "synthesis.py", GENERATORS["portrait"])
    assert {"generators/portrait.py", "faces/retinaface.py", "heads/data/head_model.npz"} <= found
    assert [name for name in found if "/external/" in name] == []
    assert "generators/external/runner.py" in used(GENERATORS["external-wav2lip"])


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_line_of_another_generator_changes_no_code_of_this_one(generator):
    for script in ("synthesis", "evaluation_set", "train_generator"):
        found = used(SCRIPTS / f"{script}.py", GENERATORS[generator])
        assert {"generators/__init__.py", "generators/base.py"} <= found
        names = {f"config/generator_{part}.py" for part in ("names", "settings")}
        assert not names & found


def test_an_audit_imports_nothing_of_the_report():
    assert not [name for name in used("visemix.audit.cell") if name.startswith("report/")]


@pytest.mark.parametrize(
    ("entry", "data"),
    [
        ("visemix.heads.model", "heads/data/head_model.npz"),
        ("visemix.heads.speech", "heads/espeak_child.py"),
        ("visemix.visemes", "visemes/maps/neti.csv"),
        ("visemix.report.site", "report/templates/cell.html"),
        ("visemix.tables.paper_table", "tables/templates/table.md.jinja"),
        (GENERATORS["external-wav2lip"], "generators/external/guard.py"),
        (GENERATORS["external-wav2lip"], "generators/external/launch.py"),
        (GENERATORS["external-wav2lip-gan"], "generators/external/wav2lip.py"),
    ],
)
def test_data_and_scripts_of_other_processes_count(entry, data):
    assert data in used(entry)


def test_another_place_gives_the_same_digest_and_another_byte_another(tmp_path, monkeypatch):
    content = {"a.py": b"import visemix.b", "b.py": b"x = 1"}
    digests = []
    for name, changes in (("one", {}), ("two", {}), ("three", {"b.py": b"x = 2"})):
        package = tmp_path / name / "visemix"
        package.mkdir(parents=True)
        for file, text in (content | changes).items():
            (package / file).write_bytes(text)
        monkeypatch.setattr("visemix.run.provenance.PACKAGE", package)
        code_digest.cache_clear()
        digests.append(code_digest("visemix.a"))
    code_digest.cache_clear()
    assert digests[0] == digests[1] != digests[2]


def test_the_digest_of_a_rule_is_that_of_its_own_script():
    rules = [
        rule
        for file in (PACKAGE.parents[1] / "rules").glob("*.smk")
        for rule in re.split(r"^(?:use )?rule ", file.read_text(), flags=re.M)[1:]
        if "    script:" in rule and not rule.startswith("audit:")
    ]
    assert len(rules) > 20
    for rule in rules:
        digested, ran = re.findall(r'SCRIPTS / "(\w+\.py)"', rule)
        assert digested == ran, rule
        assert "code=lambda wildcards: code_digest(" in rule


def test_nothing_is_left_that_only_a_path_beside_a_module_names():
    sources = {f: f.read_text() for f in PACKAGE.rglob("*.py")}
    beside = [f for f, text in sources.items() if "Path(__file__)." in text]
    outside = {Path("plan.py"), Path("papers/cells.py"), Path("run/provenance.py")}
    assert {f.relative_to(PACKAGE) for f in beside} == outside
