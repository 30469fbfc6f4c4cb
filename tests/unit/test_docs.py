"""The documentation: the site builds without a warning, and links of the files beside it hold."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from tests.helpers.workflow import REPOSITORY

PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md"]


def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site/how-to/generators/index.html").is_file()
    addresses = re.findall(
        r"""(?:src|href)=["']((?:https?:)?//[^"']+)""", (tmp_path / "site/index.html").read_text()
    )
    assert all("mkdocs.org" in address for address in addresses), addresses  # its own credit


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    text = (REPOSITORY / page).read_text()
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    missing = [link for link in links if not ((REPOSITORY / page).parent / link).is_file()]
    assert not missing


def test_pictures_are_small_enough_to_load_at_once():
    pictures = list((REPOSITORY / "docs/pictures").glob("*.png"))
    assert {p.name for p in pictures} == {"mouths.png", "report.png"}
    assert all(picture.stat().st_size < 150_000 for picture in pictures)


def test_the_citation_names_this_version():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


def test_the_test_command_can_be_read_by_the_ci_script():
    block = (REPOSITORY / "README.md").read_text().split("<!-- the tests")[1].split("```")[1]
    assert block.strip().endswith("python -m pytest")
