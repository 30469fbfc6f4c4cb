"""Runs that differ from a published one in nothing but the mixture they are trained on, by name.

    lipgen-R3-real                     R3's network on the real clips alone (N = infinity)
    lipgen-R3-portrait-N1d3            a third of the real clips and the clips of `portrait`
    lipgen-R3-portrait-N1d3-epochs     the same for as many epochs, not updates, as the real clips
    lipgen-R3-portrait-G30B            30% clips of `portrait`, second draw, in a set of fixed size

N = p/q is written NpdQ, because a name is a folder and a fraction stays one.
"""

import math
import re

from visemix.config.repeats import repeats_value

# of the wildcard {run}: the plain names of papers/*.yaml, and those of this module
RUN = r"[a-z]+-R\d+(?:-real|-[a-z][a-z0-9-]*?-(?:N\d+(?:d\d+)?(?:-epochs)?|G\d+[A-Z]))?"
_NAME = re.compile(
    r"(?P<base>[a-z]+-R\d+)-(?:real|(?P<generator>[a-z][a-z0-9-]*?)-"
    r"(?:N(?P<repeats>\d+(?:d\d+)?)(?P<epochs>-epochs)?|G(?P<share>\d+)(?P<draw>[A-Z])))"
)


def repeats_name(repeats: str | float) -> str:
    """N in a file name: 'N2', 'N1d3'. Infinity has none, because it needs no synthetic clips."""
    return f"N{repeats_value(repeats)}".replace("/", "d")


def run_on_mixture(base: str, generator: str, repeats: str, equal: str = "updates") -> str:
    """Name of the run `base` with the real clips N times beside those of `generator`."""
    if repeats_value(repeats) == math.inf:
        return f"{base}-real"  # equal updates and equal epochs of the real clips are the same
    return f"{base}-{generator}-{repeats_name(repeats)}" + ("-epochs" if equal == "epochs" else "")


def run_on_sample(base: str, generator: str, share: int, draw: int) -> str:
    """Name of the run `base` on the draw number `draw` (0: A) with `share` % synthetic clips."""
    return f"{base}-{generator}-G{share}{chr(ord('A') + draw)}"


def split_name(run: str) -> tuple[str, dict]:
    """The published run that a name is built on, and what differs: {} for a published one.

    Differences: synthetic, repeats (exact, as of `repeats_value`), and where they apply generator,
    equal ('updates' | 'epochs'), share (per cent) and draw (a letter).
    """
    match = _NAME.fullmatch(run)
    if match is None:
        return run, {}
    if match["generator"] is None:
        return match["base"], {"synthetic": False, "repeats": math.inf}
    differs = {"synthetic": True, "generator": match["generator"]}
    if match["share"]:
        share = {"share": int(match["share"]), "draw": match["draw"]}
        return match["base"], differs | {"repeats": None} | share
    repeats = repeats_value(match["repeats"])
    equal = "epochs" if match["epochs"] else "updates"
    return match["base"], differs | {"repeats": repeats, "equal": equal}
