# One training for each run and seed. The validation split selects the model; the test split is not here.


rule train:
    input:
        mixture=in_one_line(lambda w: cells.mixture_file(w.run, PARAMETERS)),
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
    threads: PARAMETERS["training"]["threads"] * PARAMETERS["training"]["processes"]
    resources:
        gpu=PARAMETERS["training"]["processes"],
    params:
        model=lambda wildcards: cells.model_of_run(wildcards.run, PARAMETERS),
        training=lambda wildcards: cells.training_of_run(wildcards.run, PARAMETERS),
        code=lambda wildcards: code_digest(SCRIPTS / "train.py"),
    script:
        SCRIPTS / "train.py"
