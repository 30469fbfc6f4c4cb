"""The beta axis (AudioVSR, Fig. 2 and 3) for words: which runs its points need.

One network, `beta.run`, is trained on mixtures of real and synthetic clips. A point whose run is
in papers/*.yaml already, in all but name, is that run: nothing is trained twice.

What the paper leaves unstated, and how it is read here:

* Fig. 3, the training budget as N grows: both readings, see `Point.control`;
* Fig. 3, which third or half of the real clips N = 1/3 and 1/2 take: params.yaml `mixing`;
* Fig. 2, what is held fixed when 10-70% generated clips are drawn: the number of clips and of
  updates. A to D, four draws at random of the real and of the generated clips.
"""

from pathlib import Path
from typing import NamedTuple

from visemix.papers.cells import equal_of_run, evaluation_files, resolve_run, run_names
from visemix.papers.mixture_runs import run_on_mixture, run_on_sample

DECISIVE = (
    "temporal_shift", "synthetic", "repeats", "viseme_branch", "tafm_on", "lambda", "gamma",
    "mixture",
)  # fmt: skip


class Point(NamedTuple):
    """A point of the curve: a generator's clips beside the real clips, N times.

    control: 'updates', equal optimiser steps for all N, or 'epochs', as many epochs over every
    mixture as of the real clips alone; repeats: N as '1/3' or 'inf'.
    """

    control: str
    generator: str
    repeats: str
    run: str


class Sample(NamedTuple):
    """A draw of Fig. 2: `share` per cent synthetic clips; draw: 'A', 'B', ..."""

    generator: str
    share: int
    draw: str
    run: str


def curve_points(parameters: dict) -> list[Point]:
    """All points of the curves, by control and generator in the order of N. Runs may repeat."""
    beta = parameters["beta"]
    return [
        Point(
            control,
            generator,
            repeats,
            trained_run(run_on_mixture(beta["run"], generator, repeats, control), parameters),
        )
        for control in beta["control"]
        for generator in beta["generators"]
        for repeats in sorted(beta["repeats"], key=_size)
    ]


def _size(repeats: str) -> float:
    numerator, _, denominator = repeats.partition("/")
    return float(numerator) / float(denominator or 1)


def samples(parameters: dict) -> list[Sample]:
    """All draws, by generator and share."""
    beta = parameters["beta"]
    return [
        Sample(generator, share, run[-1], run)
        for generator in beta["generators"]
        for share in beta["shares"]
        for draw in range(beta["samplings"])
        for run in [run_on_sample(beta["run"], generator, share, draw)]
    ]


def real_only_run(parameters: dict) -> str:
    """The run on the real clips alone, which all others are compared with."""
    return trained_run(run_on_mixture(parameters["beta"]["run"], "", "inf"), parameters)


def trained_run(run: str, parameters: dict) -> str:
    """The run of a paper that is `run` in all but name; `run` itself where there is none."""
    wanted, equal = resolve_run(run, parameters), equal_of_run(run, parameters)
    for name in (name for paper in parameters["papers"] for name in run_names(paper)):
        published = resolve_run(name, parameters)
        same = equal_of_run(name, parameters) == equal
        if same and all(published[key] == wanted[key] for key in DECISIVE):
            return name
    return run


def axis_files(runs: list[str], parameters: dict) -> list[Path]:
    """Records and evaluations on the test split of runs, for all seeds of the beta axis."""
    seeds = parameters["beta"]["seeds"]
    runs = list(dict.fromkeys(runs))
    records = [Path("runs") / run / f"seed-{s}" / "training.json" for run in runs for s in seeds]
    return records + evaluation_files(runs, "test", parameters | {"seeds": seeds})
