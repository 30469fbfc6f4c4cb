"""The folder of the report: pages from templates, pictures, and what is the same on every page."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jinja2

from visemix.papers.reproduction import departures, in_short

HOME = ("index.html", "Front page")
TEMPLATES = Path(str(files("visemix.report"))) / "templates"


@dataclass(frozen=True)
class Site:
    """A report in the making. Addresses are relative to its folder, such as 'cells/a.html'."""

    folder: Path
    templates: jinja2.Environment


def open_site(folder: str | Path, parameters: dict, nav: list[tuple[str, str]]) -> Site:
    """Begin a report in an empty folder. nav: (address, name) of the pages that all link to."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    corpus = parameters["corpus"]["name"]
    templates.globals |= {
        "scale": parameters["scale"],
        "corpus": corpus,
        "miniature": corpus == "miniature",
        "departs": "; ".join(
            text
            for name in parameters["papers"]
            if (text := in_short(departures(name, parameters)))
        ),
        "n_seeds": len(parameters["seeds"]),
        "rejected_are_errors": parameters["evaluation"]["rejected_are_errors"],
        "nav": nav,
    }
    for name in ("report.css", "report.js"):
        shutil.copyfile(TEMPLATES / name, Path(folder) / name)
    return Site(Path(folder), templates)


def write_page(
    site: Site,
    address: str,
    template: str,
    title: str,
    trail: Sequence[tuple[str, str]] = (),
    **facts,
) -> None:
    """Write one page. trail: (address, name) of the pages above it; facts: for the template."""
    root = "../" * address.count("/")
    html = site.templates.get_template(template).render(
        address=address, root=root, title=title, trail=trail, **facts
    )
    path = site.folder / address
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html)


def add_picture(site: Site, name: str, png: bytes) -> str:
    """Add a picture; returns its address."""
    return _add(site, f"pictures/{name}.png", png)


def add_file(site: Site, source: str | Path, folder: str = "files") -> str:
    """Add a copy of a file of the run, so that the report stays whole elsewhere."""
    source = Path(source)
    return _add(site, f"{folder}/{'-'.join(source.parts)}", source.read_bytes())


def _add(site: Site, address: str, content: bytes) -> str:
    path = site.folder / address
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return address
