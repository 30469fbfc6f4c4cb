"""What a scale costs, before it is run: jobs, hours, disk and wall time of each step.

Jobs are those of a dry run of Snakemake. Their work is counted from the parameters, or from the
corpus's manifest where there is one. Hours follow from benchmarks/rates.yaml, which says of each
rate whether it was measured, where and how; they are ranges, as the rates are. Disk is exact for
the mouth crops if no clip is rejected, and counts nothing else.
"""

import math
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from visemix.clips.sampler import steps_per_epoch
from visemix.clips.shard_writer import FRAME_SIZE
from visemix.config.parameters import read_sections, resolve_parameters
from visemix.papers.cells import equal_of_run, resolve_run, run_names

RATES = Path(__file__).parents[2] / "benchmarks" / "rates.yaml"
# LRW as published (Chung and Zisserman, ACCV 2016); a clip has 29 frames
LRW_CLIPS = {"train": 488_766, "val": 25_000, "test": 25_000}
LRW_WORDS = 500
FRAMES = 29
FORWARD_SHARE = 1 / 3  # of a training step's cost, that of reading a clip alone
UNKNOWN = {
    "device": "cpu", "unit": "clip", "seconds": [math.nan] * 2, "job_seconds": [math.nan] * 2,
    "basis": "unknown", "source": "nobody has timed or reckoned this",
}  # fmt: skip


class PlanError(RuntimeError):
    """A plan cannot be made; the message says why and what to do."""


def make_plan(
    jobs: dict[str, int], parameters: dict, gpus: int = 0, cores: int = 1
) -> pd.DataFrame:
    """The plan of `jobs`, {rule: number}, one row a rule.

    `parameters` as from resolve_parameters; `gpus` and `cores` are those of the machine, or what a
    cluster gives at a time. Columns: rule, jobs, work (number of units), unit, cpu_hours_low and
    _high (core hours), gpu_hours_low and _high, wall_hours_low and _high, disk_bytes, basis and
    source of the rate. Steps may overlap, so that the wall times add up to too much rather than
    too little. What nobody has timed or reckoned is NaN hours. Raises PlanError where the work
    cannot be counted.
    """
    if gpus < 0 or cores < 1:
        raise PlanError(f"{gpus} GPUs and {cores} cores: give 0 or more, and 1 or more")
    rates = yaml.safe_load(RATES.read_text())
    clips = count_clips(parameters)
    rows = []
    for rule, number in jobs.items():
        rate = choose_rate(rule, rates, parameters, gpus)
        work = work_of(rule, number, clips, parameters)
        threads = _threads(rule, parameters, cores)
        row = {"rule": rule, "jobs": number, "work": work, "unit": rate["unit"]}
        row |= _hours(rate, number, work, threads, gpus, cores)
        row |= {"disk_bytes": crop_bytes(rule, clips)}
        rows.append(row | {"basis": rate["basis"], "source": rate["source"]})
    return pd.DataFrame(rows)


def read_parameters(scale: str | None = None) -> dict:
    """params.yaml of the working directory at `scale`, or at its own. Raises PlanError without."""
    if not Path("params.yaml").is_file():
        raise PlanError("no params.yaml here; call this in the folder of the project")
    config = read_sections(Path("params.yaml"))
    return resolve_parameters(config | ({"scale": scale} if scale else {}))


def planned_jobs(scale: str) -> dict[str, int]:
    """Number of jobs of each rule in the default job from scratch, by a dry run of Snakemake.

    Raises PlanError with the last line of Snakemake where it refuses.
    """
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--quiet", "rules",
            "--cores", "1", "--config", f"scale={scale}",
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total ", done.stdout + done.stderr, re.S | re.M)
    if done.returncode or table is None:
        said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
        raise PlanError(f"`snakemake --dry-run` fails here and ends with: {said[-1]}")
    counts = {name: int(n) for name, n in re.findall(r"^(\S+) +(\d+)$", table[1], re.M)}
    return {rule: number for rule, number in counts.items() if rule != "all"}


def count_clips(parameters: dict) -> dict[str, float]:
    """Clips of each split, synthetic ones, portraits, and frames of a clip.

    From params.yaml; for LRW from its manifest, or where there is none yet, from its paper.
    """
    corpus, synthesis = parameters["corpus"], parameters["synthesis"]
    manifest = Path("data/manifests") / f"{corpus['name']}.parquet"
    frames: float = FRAMES
    if corpus["name"] == "miniature":
        clips = {s: n * len(corpus["words"]) for s, n in corpus["clips_per_word"].items()}
    elif manifest.is_file():
        table = pd.read_parquet(manifest, columns=["split", "status", "n_frames"])
        table = table[table["status"] == "ok"]
        clips = table["split"].value_counts().to_dict()
        frames = float(table["n_frames"].mean())
    else:
        share = len(corpus["words"]) / LRW_WORDS if corpus["words"] else 1
        clips = {split: round(number * share) for split, number in LRW_CLIPS.items()}
    each, made = synthesis["clips_per_portrait"], synthesis["clips"]
    portraits = synthesis["rendered_portraits"] or (made and math.ceil(made / each))
    if portraits is None:
        raise PlanError(
            "synthesis.clips is null: as many as the portraits allow, which are not counted here; "
            "set it to a number to plan with"
        )
    return clips | {"synthetic": made or portraits * each, "portraits": portraits, "frames": frames}


def work_of(rule: str, jobs: int, clips: dict[str, float], parameters: dict) -> float:
    """Units of work of all jobs of a rule: clips, of a training those shown to the network."""
    real = clips["train"] + clips["val"] + clips["test"]
    return {
        "miniature_corpus": real + clips["portraits"],
        "manifest": real,
        "crops": real,
        "pairs": clips["portraits"],
        "synthesis": clips["synthetic"] if parameters["synthesis"]["parts"] == 1 else 0,
        "synthesis_part": clips["synthetic"],
        "pose_crops": clips["test"],
        "train": jobs * shown_in_a_training(clips, parameters) if rule == "train" else 0,
        "evaluate": jobs * clips["test"],
    }.get(rule, 0)


def shown_in_a_training(clips: dict[str, float], parameters: dict) -> float:
    """Clips that a training shows to its network, the mean over the papers' runs.

    Clips of validations count as FORWARD_SHARE of one.
    """
    training = parameters["training"]
    shown = []
    for run in (name for paper in parameters["papers"] for name in run_names(paper)):
        steps = training["steps"]
        if equal_of_run(run, parameters) == "epochs":
            real, batch = int(clips["train"]), training["batch_size"]
            mixed = int(resolve_run(run, parameters)["repeats"] * real) + int(clips["synthetic"])
            steps *= steps_per_epoch(mixed, batch) / steps_per_epoch(real, batch)
        validations = math.ceil(steps / training["validate_every"])
        validated = validations * clips["val"] * FORWARD_SHARE
        shown.append(steps * training["batch_size"] + validated)
    return sum(shown) / len(shown)


def choose_rate(rule: str, rates: dict, parameters: dict, gpus: int) -> dict:
    """The first rate of a rule that holds for the network, the generator and the devices there are.

    UNKNOWN where there is none.
    """
    width, generator = parameters["model"]["width"], parameters["synthesis"]["generator"]
    small = rates["small steps"]
    for rate in rates.get(rule, [small] if rule in small["rules"] else []):
        holds = width in rate.get("widths", [width])
        holds &= generator in rate.get("generators", [generator])
        if holds and (gpus or rate["device"] == "cpu"):
            return rate
    return UNKNOWN


def _hours(
    rate: dict, jobs: int, units: float, threads: int, gpus: int, cores: int
) -> dict[str, float]:
    """Hours of devices and of the clock, low and high; a job on the CPU has `threads` cores."""
    device = rate["device"]
    side_by_side, speed = (gpus, 1) if device == "gpu" else (cores // threads, threads)
    rounds = math.ceil(jobs / side_by_side)
    hours = {}
    for end, start, of_unit in zip(
        ("low", "high"), rate["job_seconds"], rate["seconds"], strict=True
    ):
        work = units / jobs * of_unit
        for kind in ("cpu", "gpu"):
            hours[f"{kind}_hours_{end}"] = jobs * (start + work) / 3600 if kind == device else 0.0
        hours[f"wall_hours_{end}"] = rounds * (start + work / speed) / 3600
    return hours


def _threads(rule: str, parameters: dict, cores: int) -> int:
    """CPU threads of a job, as in rules/: all cores, those of a training, or one."""
    if (
        rule in ("miniature_corpus", "manifest", "crops", "pairs", "pose_crops")
        or "synthesis" in rule
    ):
        return cores
    return min(parameters["training"]["threads"], cores) if rule == "train" else 1


def crop_bytes(rule: str, clips: dict[str, float]) -> int:
    """Bytes of the mouth crops that a rule writes, uint8, if no clip is rejected."""
    made = {
        "crops": clips["train"] + clips["val"] + clips["test"],
        "pose_crops": clips["test"],
        "synthesis": clips["synthetic"],
    }.get(rule, 0)
    return round(made * clips["frames"] * math.prod(FRAME_SIZE))


def describe(plan: pd.DataFrame) -> str:
    """The plan as text for people, with totals and the source of each rate."""
    total = plan.select_dtypes("number").sum().to_dict()
    total |= {"rule": "total", "work": 0, "unit": ""}
    total["basis"] = "without the unknown" if (plan["basis"] == "unknown").any() else ""
    table = pd.DataFrame(
        {
            "step": row["rule"],
            "jobs": round(row["jobs"]),
            "work": f"{row['work']:,.0f} {row['unit']}s" if row["work"] else "",
            "CPU time": _duration(row, "cpu"),
            "GPU time": _duration(row, "gpu"),
            "wall time": _duration(row, "wall"),
            "disk GB": f"{row['disk_bytes'] / 1e9:,.3g}" if row["disk_bytes"] else "",
            "rate": row["basis"],
        }
        for row in [*plan.to_dict("records"), total]
    )
    sources = [
        f"  {r.rule}: {r.basis}, {r.source}" for r in plan.drop_duplicates("source").itertuples()
    ]
    return "\n".join(
        [table.to_string(index=False), "", "Rates, from benchmarks/rates.yaml:", *sources]
    )


def _duration(row: dict, kind: str) -> str:
    """'low-high' with the unit that suits the higher one; '' for nothing, '?' if not known."""
    low, high = (3600 * row[f"{kind}_hours_{end}"] for end in ("low", "high"))
    if math.isnan(high):
        return "?"
    unit, size = next(
        (u, n) for u, n in (("h", 3600), ("min", 60), ("s", 1)) if high >= n or n == 1
    )
    return f"{float(f'{low / size:.2g}'):g}-{float(f'{high / size:.2g}'):g} {unit}" if high else ""
