# The only rule that shows the test split to a model, as it is or with the heads turned (pose).


rule evaluate:
    input:
        model=rules.train.output.model,
        record=rules.train.output.record,
        crops=in_one_line(lambda w: cells.crops_of_test_set(w.test_set, PARAMETERS)),
    output:
        predictions=f"evaluations/{{run}}/seed-{{seed}}/{CORPUS}-{{test_set}}{{shuffled}}/predictions.parquet",
        metrics=f"evaluations/{{run}}/seed-{{seed}}/{CORPUS}-{{test_set}}{{shuffled}}/metrics.json",
    log:
        "logs/evaluate/{run}-seed-{seed}-{test_set}{shuffled}.log",
    benchmark:
        "logs/evaluate/{run}-seed-{seed}-{test_set}{shuffled}.tsv"
    threads: PARAMETERS["evaluation"]["threads"]
    resources:
        gpu=1,
    params:
        evaluation=PARAMETERS["evaluation"],
        shuffle_frames=lambda wildcards: wildcards.shuffled != "",
        code=lambda wildcards: code_digest(SCRIPTS / "evaluate.py"),
    script:
        SCRIPTS / "evaluate.py"
