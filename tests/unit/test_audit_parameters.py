"""Which parameters an audit compares."""

import yaml
from tests.helpers.workflow import REPOSITORY

from visemix.audit.recorded import contradictions, decisive_parameters
from visemix.config.parameters import resolve_parameters
from visemix.papers.cells import resolve_run, table_cells


def decisive(**synthesis):
    """Parameters of a cell with synthetic clips, with another form of synthesis.portraits."""
    config = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    parameters = resolve_parameters(config)
    parameters["synthesis"] |= synthesis
    cell = next(cell for cell in table_cells("lipgen", "table3") if cell.run == "lipgen-R6")
    return decisive_parameters(cell, parameters, resolve_run(cell.run, parameters))


def test_the_place_of_portraits_does_not_matter_but_what_they_are_does():
    one = {"source": "folder", "root": "here", "images_per_person": 1}
    before = decisive(portraits=[one])
    assert decisive(portraits=[one | {"root": "there"}]) == before
    assert decisive(portraits=[one | {"source": "ffhq"}]) != before
    people = one | {"source": "vggface"}
    several = people | {"images_per_person": 4}
    assert decisive(portraits=[people]) != decisive(portraits=[several])
    # as records had it when there was one source
    assert decisive(portraits="here", portrait_source="folder") == before


def test_a_record_with_the_old_name_of_a_parameter_is_understood():
    config = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    parameters = resolve_parameters(config)
    cell = next(cell for cell in table_cells("lipgen", "table3") if cell.run == "lipgen-R6")
    run = resolve_run(cell.run, parameters)
    now = decisive_parameters(cell, parameters, run)
    crops = dict(parameters["crops"])
    crops["max_missing_share"] = crops.pop("max_missing_proportion")
    assert decisive_parameters(cell, parameters | {"crops": crops}, run) == now
    assert contradictions(crops, parameters["crops"]) == []
    assert contradictions(crops | {"max_missing_share": 0.5}, parameters["crops"])
