# Viseme labels of every word of the corpus.

VISEMES = f"data/visemes/{PARAMETERS['visemes']['map']}.parquet"


rule visemes:
    input:
        manifest=rules.manifest.output.manifest,
        pronunciations=PARAMETERS["visemes"]["pronunciations"] or [],
    output:
        visemes=VISEMES,
    log:
        "logs/visemes.log",
    benchmark:
        "logs/visemes.tsv"
    params:
        map=PARAMETERS["visemes"]["map"],
        code=lambda wildcards: code_digest(SCRIPTS / "visemes.py"),
    script:
        SCRIPTS / "visemes.py"
