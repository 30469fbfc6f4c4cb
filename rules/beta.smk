# The beta axis: word accuracy over beta = N|Dd| / (N|Dd| + |Dg|). No part of the default job.
from visemix.papers import beta_axis

CURVE = beta_axis.curve_points(PARAMETERS)
SAMPLES = beta_axis.samples(PARAMETERS)
REAL_ONLY = beta_axis.real_only_run(PARAMETERS)
AXIS = {
    key: PARAMETERS[key]
    for key in ("scale", "corpus", "papers", "runs", "synthesis", "training", "beta")
}


rule mixture_sampled:
    input:
        real=f"data/crops/{CORPUS}-train/manifest.json",
        synthetic=f"data/crops/{CORPUS}-{{generator}}/manifest.json",
    output:
        mixture=f"data/mixtures/{CORPUS}-{{generator}}-G{{share}}{{draw}}.json",
    log:
        "logs/mixtures/{generator}-G{share}{draw}.log",
    benchmark:
        "logs/mixtures/{generator}-G{share}{draw}.tsv"
    wildcard_constraints:
        share=r"\d+",
        draw="[A-Z]",
    localrule: True
    params:
        shares=PARAMETERS["beta"]["shares"],
        seed=PARAMETERS["mixing"]["seed"],
        code=lambda wildcards: code_digest(SCRIPTS / "mixture_sampled.py"),
    script:
        SCRIPTS / "mixture_sampled.py"


rule beta_curve:
    input:
        results=beta_axis.axis_files([point.run for point in CURVE], PARAMETERS),
    output:
        curve=report(
            multiext("tables/beta/curve", ".csv", ".md", ".png"),
            category="beta axis",
            caption="../report_captions/beta_curve.rst",
        ),
        verdicts=report(
            multiext("tables/beta/verdicts", ".csv", ".md", ".png"),
            category="beta axis",
            caption="../report_captions/beta_verdicts.rst",
        ),
        fits="tables/beta/fits.csv",
    log:
        "logs/tables/beta-curve.log",
    benchmark:
        "logs/tables/beta-curve.tsv"
    localrule: True
    params:
        parameters=AXIS,
        code=lambda wildcards: code_digest(SCRIPTS / "beta_curve.py"),
    script:
        SCRIPTS / "beta_curve.py"


rule beta_features:
    input:
        model=f"runs/{REAL_ONLY}/seed-{PARAMETERS['beta']['seeds'][0]}/model.safetensors",
        real=f"data/crops/{CORPUS}-train/manifest.json",
        synthetic=f"data/crops/{CORPUS}-{{generator}}/manifest.json",
    output:
        features="tables/beta/features-{generator}.parquet",
    log:
        "logs/tables/beta-features-{generator}.log",
    benchmark:
        "logs/tables/beta-features-{generator}.tsv"
    threads: PARAMETERS["evaluation"]["threads"]
    resources:
        gpu=1,
    params:
        evaluation=PARAMETERS["evaluation"],
        seed=PARAMETERS["mixing"]["seed"],
        code=lambda wildcards: code_digest(SCRIPTS / "beta_features.py"),
    script:
        SCRIPTS / "beta_features.py"


rule beta_samplings:
    input:
        results=beta_axis.axis_files([REAL_ONLY, *(s.run for s in SAMPLES)], PARAMETERS),
        mixtures=[
            cells.mixture_file(run, PARAMETERS) for run in (REAL_ONLY, *(s.run for s in SAMPLES))
        ],
        features=expand(
            "tables/beta/features-{generator}.parquet", generator=PARAMETERS["beta"]["generators"]
        ),
    output:
        csv="tables/beta/samplings.csv",
        markdown="tables/beta/samplings.md",
        figures=report(
            expand(
                "tables/beta/samplings-{generator}.png", generator=PARAMETERS["beta"]["generators"]
            ),
            category="beta axis",
            caption="../report_captions/beta_samplings.rst",
        ),
    log:
        "logs/tables/beta-samplings.log",
    benchmark:
        "logs/tables/beta-samplings.tsv"
    params:
        parameters=AXIS,
        code=lambda wildcards: code_digest(SCRIPTS / "beta_samplings.py"),
    script:
        SCRIPTS / "beta_samplings.py"
