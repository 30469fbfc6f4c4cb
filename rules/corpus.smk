# Where clips come from: the embedded corpus, or LRW on disk; then one manifest of every clip.


rule miniature_corpus:
    output:
        speakers="data/corpora/miniature/speakers.csv",
    log:
        "logs/miniature_corpus.log",
    benchmark:
        "logs/miniature_corpus.tsv"
    threads: 64
    params:
        words=PARAMETERS["corpus"]["words"],
        clips_per_word=PARAMETERS["corpus"]["clips_per_word"],
        portraits=PARAMETERS["synthesis"]["rendered_portraits"],
        seed=PARAMETERS["corpus"]["seed"],
        code=lambda wildcards: code_digest(SCRIPTS / "miniature_corpus.py"),
    script:
        SCRIPTS / "miniature_corpus.py"


rule manifest:
    input:
        rules.miniature_corpus.output.speakers if CORPUS == "miniature" else [],
    output:
        manifest=f"data/manifests/{CORPUS}.parquet",
    log:
        "logs/manifest.log",
    benchmark:
        "logs/manifest.tsv"
    threads: 64
    params:
        corpus=PARAMETERS["corpus"],
        code=lambda wildcards: code_digest(SCRIPTS / "manifest.py"),
    script:
        SCRIPTS / "manifest.py"
