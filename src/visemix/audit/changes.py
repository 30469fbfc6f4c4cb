"""What has changed since a cell was recorded: code, libraries, processor, threads, device."""

import json
from pathlib import Path

from visemix.audit.record import MODULES
from visemix.papers.cells import Cell, evaluation_folder
from visemix.run.gpus import device_model
from visemix.run.parameters import flatten
from visemix.run.provenance import environment, module_digests

# What evaluates a cell; what trains it besides; a corpus can need all modules.
_EVALUATION = (
    "clips/", "evaluation/crossed", "evaluation/predictions", "evaluation/resolution",
    "evaluation/statistics", "models/", "papers/", "report/tables", "run/atomic", "run/parameters",
    "run/provenance", "training/run_folder",
)  # fmt: skip
USED = {
    "evaluation": _EVALUATION,
    "training": (*_EVALUATION, "run/data_parallel", "training/", "visemes/"),
    "corpus": ("",),
}


def changes(parameters: list[dict], code: list[dict], environment: list[dict]) -> list[dict]:
    """Entries {what, recorded, now} of whatever is other than recorded."""
    known = any(entry["recorded"] for entry in code)  # else modules were not recorded one by one
    found = [
        (f"{kind} {entry[key]}", entry["recorded"], entry["now"])
        for kind, key, entries in (
            ("parameter", "name", parameters),
            ("module", "module", code if known else []),
        )
        for entry in entries
        if entry["recorded"] != entry["now"]
    ]
    for entry in environment:
        if entry["recorded"] and entry["recorded"] != [entry["now"]]:
            found.append((entry["name"], ", ".join(map(str, entry["recorded"])), entry["now"]))
    return [dict(zip(("what", "recorded", "now"), values, strict=True)) for values in found]


def code_digests(record: dict | None, start: str) -> list[dict]:
    """Entries {module, recorded, now} of the modules in use from a step on; sha256 or None.

    Without a record of the table nothing is known of single modules: recorded is None.
    """
    now, recorded = module_digests(*MODULES), (record or {}).get("code", {})
    names = sorted({*now, *recorded})
    return [
        {"module": name, "recorded": recorded.get(name), "now": now.get(name)}
        for name in names
        if name.startswith(USED[start])
    ]


def environments(cell: Cell, parameters: dict, start: str) -> list[dict]:
    """Entries {name, recorded, now}: Python, processor, libraries, threads and device.

    recorded is a list of the values of all seeds' trainings and evaluations, without repeats; of
    the evaluations alone where only these are made again. What a machine without a GPU has not,
    such as CUDA, is "none"; what older records do not tell is not in the list.
    """
    facts = []
    for seed in parameters["seeds"]:
        trained = Path("runs") / cell.run / f"seed-{seed}" / "training.json"
        folder = evaluation_folder(cell.run, seed, parameters["corpus"]["name"], cell.test_set)
        facts += [] if start == "evaluation" else [_facts(trained, "training")]
        facts.append(_facts(folder / "metrics.json", "evaluation"))
    now = _named(flatten({"environment": environment(), "device": device_model()}))
    now |= {f"{step}.threads": parameters[step]["threads"] for step in ("training", "evaluation")}
    entries = []
    for name, value in now.items():
        recorded = list(dict.fromkeys(fact[name] for fact in facts if name in fact))
        entries.append({"name": name, "recorded": recorded, "now": value})
    return [entry for entry in entries if entry["recorded"] or entry["name"] != "training.threads"]


def _facts(path: Path, step: str) -> dict:
    """Environment, device and threads in a record; an evaluation of version 1 knows none."""
    content = json.loads(path.read_text())
    threads = content.get("threads", content.get("evaluation", {}).get("threads"))
    found = _named(flatten({"environment": content.get("environment", {})}))
    known = {"device": content.get("device"), f"{step}.threads": threads}
    return found | {name: value for name, value in known.items() if value is not None}


def _named(facts: dict) -> dict:
    return {name: "none" if value is None else value for name, value in facts.items()}
