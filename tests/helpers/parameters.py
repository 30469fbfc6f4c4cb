"""The shipped params.yaml, with changes."""

import yaml
from tests.helpers.workflow import REPOSITORY

from visemix.config.parameters import merge

CONFIG = yaml.safe_load((REPOSITORY / "params.yaml").read_text())


def changed(**sections):
    return merge(CONFIG, sections)
