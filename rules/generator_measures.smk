# Generators side by side: each renders held-out clips, which are measured. Not in `rule all`.
from visemix.evaluation import MIXED, OBSERVER

COMPARED = PARAMETERS["generators"]["compared"]
PREDICTIONS = f"evaluations/{{run}}/seed-{{seed}}/{CORPUS}-{{set}}/predictions.parquet"


rule evaluation_set:
    input:
        manifest=rules.manifest.output.manifest,
        real=f"data/crops/{CORPUS}-val/manifest.json",
        weights=lambda wildcards: (
            rules.train_generator.output.weights if wildcards.generator in TRAINED else []
        ),
        visemes=lambda wildcards: (
            rules.visemes.output.visemes if wildcards.generator in TEXT_DRIVEN else []
        ),
    output:
        manifest=f"data/crops/{CORPUS}-{{generator}}-evaluation/manifest.json",
        index=f"data/crops/{CORPUS}-{{generator}}-evaluation/index.parquet",
        rejects=f"data/crops/{CORPUS}-{{generator}}-evaluation/rejects.parquet",
    log:
        "logs/evaluation_set/{generator}.log",
    benchmark:
        "logs/evaluation_set/{generator}.tsv"
    threads: 64
    resources:
        gpu=1,
    params:
        root=ROOT,
        # not an output: shards that are kept are not rendered, and timed, anew
        seconds=f"data/synthesis/{CORPUS}-{{generator}}-evaluation/seconds.csv",
        min_face_share=PARAMETERS["synthesis"]["min_face_share"],
        crops=PARAMETERS["crops"],
        external=lambda wildcards: settings_of(wildcards.generator, PARAMETERS["external"]),
        clips=PARAMETERS["generators"]["evaluation_clips"],
        seed=PARAMETERS["generators"]["seed"],
        code=lambda wildcards: code_digest(
            SCRIPTS / "evaluation_set.py", GENERATORS[wildcards.generator]
        ),
    script:
        SCRIPTS / "evaluation_set.py"


rule generator_measures:
    input:
        expert=rules.sync_expert.output.record,
        sounds=f"data/sounds/{CORPUS}-val/index.parquet",
        made=rules.evaluation_set.output.manifest,
        real=f"data/crops/{CORPUS}-val/manifest.json",
        model=f"runs/{OBSERVER}/seed-{SEED}/model.safetensors",
        predictions=lambda wildcards: expand(
            PREDICTIONS,
            run=[OBSERVER, MIXED],
            seed=PARAMETERS["seeds"],
            set=["val", f"{wildcards.generator}-evaluation"],
        ),
    output:
        measures=f"generators/{CORPUS}-{{generator}}/measures.json",
        sheet=report(
            f"generators/{CORPUS}-{{generator}}/sheet.png",
            category="generators",
            caption="../report_captions/clips.rst",
        ),
    log:
        "logs/generator_measures/{generator}.log",
    benchmark:
        "logs/generator_measures/{generator}.tsv"
    threads: PARAMETERS["evaluation"]["threads"]
    resources:
        gpu=1,
    params:
        corpus=CORPUS,
        seconds=f"data/synthesis/{CORPUS}-{{generator}}-evaluation/seconds.csv",
        seeds=PARAMETERS["seeds"],
        mixed_with=GENERATOR,
        code=lambda wildcards: code_digest(SCRIPTS / "generator_measures.py"),
    script:
        SCRIPTS / "generator_measures.py"


rule generator_table:
    input:
        measures=expand(f"generators/{CORPUS}-{{generator}}/measures.json", generator=COMPARED),
    output:
        csv=report(
            "tables/generators.csv",
            category="generators",
            caption="../report_captions/generators.rst",
        ),
        markdown="tables/generators.md",
    log:
        "logs/generator_table.log",
    benchmark:
        "logs/generator_table.tsv"
    localrule: True
    params:
        corpus=CORPUS,
        scale=PARAMETERS["scale"],
        compared=COMPARED,
        code=lambda wildcards: code_digest(SCRIPTS / "generator_table.py"),
    script:
        SCRIPTS / "generator_table.py"


rule generators:
    input:
        rules.generator_table.output,
        expand(f"generators/{CORPUS}-{{generator}}/sheet.png", generator=COMPARED),
    localrule: True
