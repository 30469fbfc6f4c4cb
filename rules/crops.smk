# RetinaFace, alignment to the mean face, 96x96 grey mouth crops: one crop set for each split.


rule crops:
    input:
        manifest=rules.manifest.output.manifest,
    output:
        manifest=f"data/crops/{CORPUS}-{{split}}/manifest.json",
        index=f"data/crops/{CORPUS}-{{split}}/index.parquet",
        rejects=f"data/crops/{CORPUS}-{{split}}/rejects.parquet",
    log:
        "logs/crops/{split}.log",
    benchmark:
        "logs/crops/{split}.tsv"
    threads: 64
    resources:
        gpu=1,
    params:
        root=ROOT,
        crops=PARAMETERS["crops"],
        code=lambda wildcards: code_digest(SCRIPTS / "crops.py"),
    script:
        SCRIPTS / "crops.py"
