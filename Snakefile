# visemix: does synthetic talking-face video make a lip reader better?
#   snakemake --cores all                        the report, all tables of the papers in params.yaml
#   snakemake --cores all --config scale=test    the same chain in a minute
#   snakemake --cores all tables/lipgen/table3.csv
#   snakemake --cores all power                  clips and seeds that would resolve the tables' differences
#   snakemake --cores all generators             generators measured side by side
#   snakemake --cores all --force audits/lipgen/table3/tafm-0.1.json    one cell made again and compared
from pathlib import Path

from snakemake.utils import min_version

from visemix.config.external import settings_of
from visemix.config.parameters import resolve_parameters, trained_settings
from visemix.evaluation import MIXED, OBSERVER
from visemix.generators import GENERATORS, LIP_READER_JUDGED, TEXT_DRIVEN, TRAINED
from visemix.papers import beta_axis, cells
from visemix.papers.claims import CLAIMS, claims_inputs
from visemix.papers.mixture_runs import RUN
from visemix.papers.reproduction import departures
from visemix.tables.shown import shown_digest
from visemix.run.provenance import code_digest
from visemix.tables.made_from import record_digest

min_version("9.0")


report: "report_captions/workflow.rst"


configfile: Path(workflow.basedir) / "params.yaml"


PARAMETERS = resolve_parameters(config, workflow.basedir)
CORPUS = PARAMETERS["corpus"]["name"]
GENERATOR = PARAMETERS["synthesis"]["generator"]
SCRIPTS = Path(workflow.basedir) / "workflow_scripts"


wildcard_constraints:
    split="train|val|test",
    generator="|".join(GENERATORS),
    run=RUN,
    seed=r"\d+",
    test_set="|".join([*cells.TEST_SETS, "val", *(f"{g}-evaluation" for g in GENERATORS)]),
    shuffled="(-shuffled)?",
    table=r"[a-z]+\d+",


# seconds each, and a database of one writing machine: no jobs of their own on a cluster
localrules:
    all,
    angles,
    audit,
    beta_curve,
    claims,
    generator_table,
    generators,
    mixture_real,
    mixture_sampled,
    mixture_synthetic,
    paper_power,
    pose_manifest,
    power,
    report,
    table,
    track,
    visemes,


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
