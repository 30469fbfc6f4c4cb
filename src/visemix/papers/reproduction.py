"""Is a number a reproduction? In what the parameters and the data depart from the paper's own.

A number is a reproduction only where corpus, generator, sizes and schedule are the paper's. That is
asked of the values themselves, not of the scale's name: the paper's values are the defaults of
visemix.config, with `setting` of papers/<paper>.yaml laid over.
"""

from functools import lru_cache

from visemix.config.parameters import Parameters, flatten
from visemix.papers.cells import read_paper, resolve_run

SHOWN = 3  # departures that are named, the others are counted
ROUNDED = 0.05  # by so much fewer clips than the paper's round numbers are still as many
# Sections and keys that are no part of a number, or of which the paper says nothing: where things
# lie, who computes them, seeds, generators that are not the paper's, other targets.
NOT_COMPARED = (
    "scale", "papers", "seeds", "runs", "external", "generators", "tracking", "beta",
    "corpus.root", "corpus.seed", "crops.detector_weights", "crops.detector_sha256", "pose.seed",
    "synthesis.portraits", "synthesis.parts", "synthesis.seed",
    "mixing.seed", "training.checkpoint_seconds", "training.processes", "training.threads",
    "evaluation.batch_size", "evaluation.threads",
)  # fmt: skip
OF_SYNTHETIC_CLIPS = ("synthesis", "mixing")


def departures(paper: str, parameters: dict, run: str | None = None) -> list[str]:
    """In what resolved `parameters` depart from the paper's own values; [] where in nothing.

    Entries are 'key: value (paper: value)', what `setting` names first. Any parameter that there is
    counts, but for NOT_COMPARED. With a run its changes (section `runs`) count, and, where it is
    trained on real clips alone, the parameters of synthetic clips do not; without one all do.
    """
    settings = resolve_run(run, parameters) if run else None
    skipped: tuple[str, ...] = NOT_COMPARED
    if settings and not settings["synthetic"]:
        skipped += OF_SYNTHETIC_CLIPS
    given, expected = flatten(parameters), _paper_values(paper)
    keys = [k for k in dict.fromkeys([*expected, *given]) if not _below(k, skipped)]
    found = [
        f"{key}: {_text(given.get(key))} (paper: {_text(expected.get(key))})"
        for key in keys
        if given.get(key) != expected.get(key)
    ]
    if settings is None:
        changes = parameters["runs"]
        return found + [
            f"runs.{run}: changed" for run in read_paper(paper)["runs"] if run in changes
        ]
    return found + [f"runs.{run}.{key}: {settings[key]} (changed)" for key in settings["changed"]]


def measured_departures(
    paper: str, test_set: str, n: int, words: int, clips: dict[str, int]
) -> list[str]:
    """In what the data of a number depart from the paper's: as `departures`.

    n: test clips that count; words: that are told apart; clips: {role: training clips}, with the
    role synthetic only where the run is trained on such.
    """
    sizes = read_paper(paper)["sizes"]
    found = []
    if n != sizes["test"][test_set]:
        found.append(f"test clips: {n} (paper: {sizes['test'][test_set]})")
    if words != sizes["words"]:
        found.append(f"words: {words} (paper: {sizes['words']})")
    return found + [
        f"{role} training clips: {count} (paper: {sizes[role]})"
        for role, count in clips.items()
        if abs(count - sizes[role]) > ROUNDED * sizes[role]
    ]


def in_short(found: list[str]) -> str:
    """The first few departures, and how many more there are; '' for none."""
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more


def _below(key: str, names: tuple[str, ...]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in names)


def _text(value) -> str:
    if isinstance(value, list) and len(str(value)) > 24:
        return f"{len(value)} values"
    return "not set" if value is None else str(value)


@lru_cache
def _paper_values(paper: str) -> dict:
    """{key: the paper's own value}, flat, those of `setting` first."""
    defaults = flatten(Parameters().model_dump(by_alias=True))
    setting = read_paper(paper)["setting"]
    return setting | defaults | setting
