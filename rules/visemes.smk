# Viseme labels of every word of the corpus.
from visemix.visemes import read_viseme_map

in_one_line(read_viseme_map)(PARAMETERS["visemes"]["map"])


rule visemes:
    input:
        manifest=rules.manifest.output.manifest,
        pronunciations=PARAMETERS["visemes"]["pronunciations"] or [],
    output:
        visemes=f"data/visemes/{PARAMETERS['visemes']['map']}.parquet",
    log:
        "logs/visemes.log",
    benchmark:
        "logs/visemes.tsv"
    localrule: True
    params:
        map=PARAMETERS["visemes"]["map"],
        code=lambda wildcards: code_digest(SCRIPTS / "visemes.py"),
    script:
        SCRIPTS / "visemes.py"
