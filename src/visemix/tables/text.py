"""Tables as text: Markdown from templates/*.md.jinja, and a number with its interval."""

from functools import cache
from importlib.resources import files

import jinja2


def with_interval(value: float, low: float, high: float, form: str = ".1f") -> str:
    """A number and its interval, such as '81.2 [79.0, 83.1]'; form: '+.1f' for differences."""
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def render(template: str, **facts) -> str:
    """The text of templates/<template>.md.jinja."""
    return _templates().get_template(f"{template}.md.jinja").render(facts)


@cache
def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(files("visemix.tables") / "templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals["with_interval"] = with_interval
    return templates
