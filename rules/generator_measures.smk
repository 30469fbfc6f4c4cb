# Generators side by side: each makes held-out clips again, which are measured. Not in `rule all`.

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
        # not an output: shards that are kept are not made, and timed, again
        seconds=f"data/synthesis/{CORPUS}-{{generator}}-evaluation/seconds.csv",
        min_face_share=PARAMETERS["synthesis"]["min_face_share"],
        crops=PARAMETERS["crops"],
        clips=PARAMETERS["generators"]["evaluation_clips"],
        seed=PARAMETERS["generators"]["seed"],
        code=code_digest("generators", "heads", "faces", "clips.shard_writer", "media"),
    script:
        SCRIPTS / "evaluation_set.py"


# Another training than the expert in Wav2Lip's own loss, by its seed.
rule sync_expert:
    input:
        crops=rules.train_generator.input.crops,
        sounds=rules.train_generator.input.sounds,
    output:
        weights=f"data/generators/{CORPUS}-sync-expert/expert.safetensors",
        history=f"data/generators/{CORPUS}-sync-expert/expert.csv",
        record=f"data/generators/{CORPUS}-sync-expert/expert.json",
    log:
        "logs/sync_expert.log",
    benchmark:
        "logs/sync_expert.tsv"
    threads: PARAMETERS["generators"]["threads"]
    resources:
        gpu=1,
    params:
        settings=trained_settings("wav2lip", PARAMETERS),
        seed=PARAMETERS["generators"]["seed"] + 1000,
        code=code_digest(
            "generators.wav2lip",
            "generators.speech_windows",
            "generators.paired_clips",
            "clips.shards",
        ),
    script:
        SCRIPTS / "sync_expert.py"


rule generator_measures:
    input:
        expert=rules.sync_expert.output.record,
        sounds=f"data/sounds/{CORPUS}-val/index.parquet",
        made=rules.evaluation_set.output.manifest,
        real=f"data/crops/{CORPUS}-val/manifest.json",
        model=f"runs/{OBSERVER}/seed-{PARAMETERS['seeds'][0]}/model.safetensors",
        predictions=lambda wildcards: expand(
            PREDICTIONS,
            run=[OBSERVER, MIXED],
            seed=PARAMETERS["seeds"],
            set=["val", f"{wildcards.generator}-evaluation"],
        ),
    output:
        measures=f"generators/{CORPUS}-{{generator}}/measures.json",
        sheet=f"generators/{CORPUS}-{{generator}}/sheet.png",
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
        code=code_digest(
            "evaluation",
            "models",
            "report.generators",
            "generators.wav2lip",
            "generators.speech_windows",
        ),
    script:
        SCRIPTS / "generator_measures.py"


rule generator_table:
    input:
        measures=expand(f"generators/{CORPUS}-{{generator}}/measures.json", generator=COMPARED),
    output:
        csv="tables/generators.csv",
        markdown="tables/generators.md",
    log:
        "logs/generator_table.log",
    benchmark:
        "logs/generator_table.tsv"
    params:
        corpus=CORPUS,
        scale=PARAMETERS["scale"],
        compared=COMPARED,
        code=code_digest("report.generators"),
    script:
        SCRIPTS / "generator_table.py"


rule generators:
    input:
        rules.generator_table.output,
        expand(f"generators/{CORPUS}-{{generator}}/sheet.png", generator=COMPARED),
