"""The parameters that a cell depends on, as recorded and as they are now."""

from dataclasses import asdict

from visemix.audit.record import plain
from visemix.papers.cells import Cell, model_of_run, resolve_run, training_of_run
from visemix.run.parameters import flatten

# Where things lie, how they are called and how work is cut: no part of any result. What lies at
# these places is checked by its digest.
NOT_DECISIVE = (
    "corpus.root", "crops.detector_weights", "visemes.pronunciations",
    "training.checkpoint_seconds", "run.name", "run.changed",
)  # fmt: skip


def decisive_parameters(cell: Cell, parameters: dict, run: dict) -> dict:
    """{name: value} of all parameters that have a part in a cell, e.g. 'training.steps'.

    parameters: all of them, resolved; run: of `papers.cells.resolve_run`, whose values are named
    'run.lambda' and so on.
    """
    sections = ["corpus", "crops", "visemes", "mixing", "model", "training", "evaluation"]
    if cell.test_set == "pose":
        sections.append("pose")
    chosen = {name: parameters[name] for name in sections}
    if run["synthetic"]:
        chosen["synthesis"] = _synthesis(parameters["synthesis"])
        chosen["generators"] = _generator(parameters)
    found = flatten({"scale": parameters["scale"], "seeds": parameters["seeds"], **chosen})
    found |= flatten({"run": run})
    return plain({name: value for name, value in found.items() if name not in NOT_DECISIVE})


def _synthesis(synthesis: dict) -> dict:
    """Without the places of the portraits; older records name one source beside one place."""
    sources = synthesis["portraits"]
    if isinstance(sources, str):
        sources = [{"source": synthesis["portrait_source"], "images_per_person": 1}]
    kept = [{key: value for key, value in one.items() if key != "root"} for one in sources]
    rest = {key: value for key, value in synthesis.items() if key != "portrait_source"}
    return rest | {"portraits": kept}


def _generator(parameters: dict) -> dict:
    """What a generator that is trained is trained with; nothing for the others."""
    family = parameters["synthesis"]["generator"].partition("-")[0]
    if family not in parameters["generators"]:
        return {}
    names = ("seed", "threads", "lip_reader", family)
    chosen = {name: parameters["generators"][name] for name in names}
    decisive = {k: v for k, v in chosen[family].items() if k != "checkpoint_seconds"}
    return chosen | {family: decisive}


def compare_parameters(cell: Cell, parameters: dict, record: dict | None) -> list[dict]:
    """Entries {name, recorded, now} of all decisive parameters; without a record, recorded = now.

    A parameter that one side does not know is None there.
    """
    now = decisive_parameters(cell, parameters, resolve_run(cell.run, parameters))
    recorded = now
    if record is not None:
        recorded = decisive_parameters(cell, record["parameters"], record["runs"][cell.run])
    return [
        {"name": name, "recorded": recorded.get(name), "now": now.get(name)}
        for name in dict.fromkeys([*now, *recorded])
    ]


def contradictions(found: dict, expected: dict) -> list[str]:
    """'training.steps is 7 instead of 6' for all values that two nested dictionaries both have."""
    found, expected = flatten(plain(found)), flatten(plain(expected))
    return [
        f"{name} is {found[name]!r} instead of {value!r}"
        for name, value in expected.items()
        if name in found and found[name] != value
    ]


def expected_configuration(cell: Cell, parameters: dict, summary: dict) -> dict:
    """What training.json must say of network and training; `summary` is its content."""
    from visemix.training.settings import recogniser_config, training_config  # torch

    sizes = len(summary["words"]), summary["model"]["n_visemes"]
    model = recogniser_config(model_of_run(cell.run, parameters), *sizes)
    training = asdict(training_config(training_of_run(cell.run, parameters), summary["mixture"]))
    del training["checkpoint_seconds"]
    return {"model": model.to_json(), "training": training}
