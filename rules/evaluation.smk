# The only rule that reads the test split.


rule evaluate:
    input:
        model=rules.train.output.model,
        record=rules.train.output.record,
        crops=f"data/crops/{CORPUS}-test/manifest.json",
    output:
        predictions=f"evaluations/{{run}}/seed-{{seed}}/{CORPUS}-test{{shuffled}}/predictions.parquet",
        metrics=f"evaluations/{{run}}/seed-{{seed}}/{CORPUS}-test{{shuffled}}/metrics.json",
    log:
        "logs/evaluate/{run}-seed-{seed}-test{shuffled}.log",
    benchmark:
        "logs/evaluate/{run}-seed-{seed}-test{shuffled}.tsv"
    threads: PARAMETERS["evaluation"]["threads"]
    resources:
        gpu=1,
    params:
        evaluation=PARAMETERS["evaluation"],
        shuffle_frames=lambda wildcards: wildcards.shuffled != "",
        code=code_digest("evaluation", "models"),
    script:
        SCRIPTS / "evaluate.py"
