"""Clear words for whatever is wrong in params.yaml, a scale file or the overrides."""

import difflib
from collections.abc import Iterator
from typing import get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from visemix.config.section import Section

# keys of former versions: what they are called now, and what has taken their place
RENAMED = {
    "max_missing_share": "max_missing_proportion",
    "untouched_share": "untouched_proportion",
    "two_axes_share": "two_axes_proportion",
    "critic_width": "discriminator_width",
}
REPLACED = {
    **{old: f"it is called {new}" for old, new in RENAMED.items()},
    "portrait_source": "it is part of synthesis.portraits, e.g. portraits: [{source: ffhq, root: "
    "data/ffhq}]",
}


class ParameterError(ValueError):
    """The parameters are wrong; the message lists every problem as key, value and remedy."""


def wrong_keys(block: dict, where: str, section: type[Section]) -> Iterator[str]:
    """A message for each unknown key of a block that is laid over others.

    where: what stands before a key in the message, 'scales/test.yaml: ' or 'overrides.'.
    """
    known = known_keys(section)
    for key, value in block.items():
        if key not in known:
            yield unknown(where + str(key), str(key), list(known))
        inner, holder = inner_section(known[key]) if key in known else (None, None)
        if inner:
            for name, part in _held(value, holder).items():
                if isinstance(part, dict):
                    yield from wrong_keys(part, f"{where}{key}.{name}", inner)


def _held(value, holder: type | None) -> dict:
    """The sections that a value holds, by what stands before their keys in a message."""
    if holder is dict and isinstance(value, dict):
        return {f"{name}.": part for name, part in value.items()}
    if holder is list and isinstance(value, list):
        return {f"{number}.": part for number, part in enumerate(value)}
    return {"": value}


def known_keys(section: type[Section]) -> dict[str, FieldInfo]:
    """The fields of a section by the names that they have in a file."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def inner_section(field: FieldInfo) -> tuple[type[Section] | None, type | None]:
    """The section that a field holds, or None, and whether it holds a list or a dict of them.

    The keys of such a dict are names of the user's choice: `runs` and `external`.
    """
    origin = get_origin(field.annotation)
    for option in get_args(field.annotation) or (field.annotation,):
        if isinstance(option, type) and issubclass(option, Section):
            return option, origin if origin in (list, dict) else None
    return None, None


def unknown(path: str, key: str, known: list[str]) -> str:
    """The message on a key that there is not, with the nearest one."""
    close = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
    return f"{path}: unknown key; {REPLACED.get(key, hint)}"


def explain(error: ErrorDetails, root: type[Section], layers: dict[str, dict]) -> str:
    """The message on one of pydantic's errors, whose `loc` leads from `root` to the value.

    layers: by what stands before a key in the message, the blocks that were laid over each other.
    """
    path = ".".join(str(part) for part in error["loc"])
    for where, block in layers.items():
        if _gives(block, error["loc"]):
            path = where + ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        *above, key = map(str, error["loc"])
        return unknown(path, key, list(known_keys(_section_at(above, root))))
    if error["type"] == "missing":
        return f"{path}: missing; add it to params.yaml"
    if error["type"] == "value_error":
        return f"{path}: {error['ctx']['error']}" if path else str(error["ctx"]["error"])
    return f"{path}: {error['input']!r} is not allowed; {error['msg'].lower()}"


def _gives(block, keys: tuple) -> bool:
    """Whether a block gives the value that the keys lead to, itself rather than parts of it."""
    for key in keys:
        if not isinstance(block, dict):  # a list, to which the key is a number
            return True
        if key not in block:
            return False
        block = block[key]
    return not isinstance(block, dict)


def _section_at(path: list[str], section: type[Section]) -> type[Section]:
    """The section in which the keys of `path` end; names of the user's choice lead nowhere."""
    for part in path:
        field = known_keys(section).get(part)
        section = (inner_section(field)[0] if field else None) or section
    return section
