# One training for each run and seed. The validation split selects the model; the test split is not here.


def run_settings(wildcards):
    return cells.resolve_run(wildcards.run, PARAMETERS)


def run_model(wildcards):
    return cells.model_settings(run_settings(wildcards), PARAMETERS["model"])


rule train:
    input:
        mixture=lambda wildcards: f"data/mixtures/{run_settings(wildcards)['mixture']}.json",
        validation=f"data/crops/{CORPUS}-val/manifest.json",
        visemes=rules.visemes.output.visemes,
    output:
        model="runs/{run}/seed-{seed}/model.safetensors",
        history="runs/{run}/seed-{seed}/history.csv",
        record="runs/{run}/seed-{seed}/training.json",
    log:
        "logs/train/{run}-seed-{seed}.log",
    benchmark:
        "logs/train/{run}-seed-{seed}.tsv"
    threads: PARAMETERS["training"]["threads"]
    resources:
        gpu=1,
    params:
        model=run_model,
        training=PARAMETERS["training"],
        code=code_digest("training", "models", "clips"),
    script:
        SCRIPTS / "train.py"
