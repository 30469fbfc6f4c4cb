"""The page of an audit: one HTML file for people that needs no network."""

from importlib.resources import files
from pathlib import Path

import jinja2

from visemix.run.atomic import write_text


def write_page(path: str | Path, report: dict) -> None:
    """Write the content of an audit's JSON file as HTML."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((files("visemix.audit") / "page.html").read_text())
    write_text(path, template.render(report=report))
