# Viseme labels of every word of the corpus.

VISEMES = f"data/visemes/{PARAMETERS['visemes']['map']}.parquet"


rule visemes:
    input:
        manifest=rules.manifest.output.manifest,
        pronunciations=PARAMETERS["visemes"]["pronunciations"] or [],
    output:
        visemes=VISEMES,
    params:
        map=PARAMETERS["visemes"]["map"],
        code=code_digest("visemes"),
    log:
        "logs/visemes.log",
    benchmark:
        "logs/visemes.tsv"
    script:
        SCRIPTS / "visemes.py"
