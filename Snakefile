# visemix: does synthetic talking-face video make a lip reader better?
#   snakemake --cores all                        the report, all tables of the papers in params.yaml
#   snakemake --cores all --config scale=test    the same chain in a minute
#   snakemake --cores all tables/lipgen/table3.csv
#   snakemake --cores all power                  clips and seeds that would resolve the tables' differences
#   snakemake --cores all generators             generators measured side by side
#   snakemake --cores all --force audits/lipgen/table3/tafm-0.1.json    one cell re-run and compared
from pathlib import Path

from snakemake.utils import min_version

from visemix.config.external import settings_of
from visemix.config.generator_names import GENERATORS, TEXT_DRIVEN, TRAINED
from visemix.config.parameters import resolve_parameters
from visemix.papers import cells
from visemix.run.provenance import code_digest
from visemix.run.targets import in_one_line

min_version("9.5")


report: "report_captions/workflow.rst"


configfile: Path(workflow.basedir) / "params.yaml"


PARAMETERS = in_one_line(resolve_parameters)(config, workflow.basedir)
in_one_line(cells.check_runs)(PARAMETERS)
CORPUS, ROOT = PARAMETERS["corpus"]["name"], PARAMETERS["corpus"]["root"]
GENERATOR, SEED = PARAMETERS["synthesis"]["generator"], PARAMETERS["seeds"][0]
SCRIPTS = Path(workflow.basedir) / "workflow_scripts"


wildcard_constraints:
    split="train|val|test",
    generator="|".join(GENERATORS),
    run="[^/]+",
    seed=r"\d+",
    test_set="[a-z0-9-]+?",
    shuffled="(-shuffled)?",
    table=r"[a-z]+\d+",


include: "rules/corpus.smk"
include: "rules/crops.smk"
include: "rules/visemes.smk"
include: "rules/pose.smk"
include: "rules/generators.smk"
include: "rules/synthesis.smk"
include: "rules/mixing.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/tables.smk"
include: "rules/claims.smk"
include: "rules/generator_measures.smk"
include: "rules/beta.smk"
include: "rules/audit.smk"


rule all:
    default_target: True
    input:
        "report/index.html",
        expand("tracking/{paper}.json", paper=PARAMETERS["papers"]),
    localrule: True
