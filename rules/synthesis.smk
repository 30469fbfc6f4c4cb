# Synthetic clips: pair portraits with sounds of the training split, drive a generator, crop.


rule pairs:
    input:
        manifest=rules.manifest.output.manifest,
        corpus=rules.miniature_corpus.output.speakers if CORPUS == "miniature" else [],
    output:
        pairs=f"data/synthesis/{CORPUS}-{{generator}}/pairs.parquet",
        excluded=f"data/synthesis/{CORPUS}-{{generator}}/excluded_portraits.parquet",
    log:
        "logs/pairs/{generator}.log",
    benchmark:
        "logs/pairs/{generator}.tsv"
    threads: 64
    params:
        portraits=PARAMETERS["synthesis"]["portraits"],
        clips=PARAMETERS["synthesis"]["clips"],
        clips_per_portrait=PARAMETERS["synthesis"]["clips_per_portrait"],
        seed=PARAMETERS["synthesis"]["seed"],
        code=lambda wildcards: code_digest(SCRIPTS / "pairs.py"),
    script:
        SCRIPTS / "pairs.py"


PARTS = PARAMETERS["synthesis"]["parts"]


# One of several jobs that make the shards of a set side by side, e.g. on as many GPUs.
rule synthesis_part:
    input:
        manifest=rules.manifest.output.manifest,
        pairs=rules.pairs.output.pairs,
        weights=lambda wildcards: (
            rules.train_generator.output.weights if wildcards.generator in TRAINED else []
        ),
        visemes=lambda wildcards: (
            rules.visemes.output.visemes if wildcards.generator in TEXT_DRIVEN else []
        ),
    output:
        touch(f"data/synthesis/{CORPUS}-{{generator}}/part-{{part}}-of-{{parts}}/made"),
    log:
        "logs/synthesis/{generator}-part-{part}-of-{parts}.log",
    benchmark:
        "logs/synthesis/{generator}-part-{part}-of-{parts}.tsv"
    threads: 64
    resources:
        gpu=1,
    params:
        crop_set=f"data/crops/{CORPUS}-{{generator}}",
        root=ROOT,
        portraits=PARAMETERS["synthesis"]["portraits"],
        min_face_share=PARAMETERS["synthesis"]["min_face_share"],
        crops=PARAMETERS["crops"],
        external=lambda wildcards: settings_of(wildcards.generator, PARAMETERS["external"]),
        code=lambda wildcards: code_digest(
            SCRIPTS / "synthesis.py", GENERATORS[wildcards.generator]
        ),
    script:
        SCRIPTS / "synthesis.py"


use rule synthesis_part as synthesis with:
    input:
        **rules.synthesis_part.input,
        parts=(
            expand(rules.synthesis_part.output, part=range(PARTS), parts=PARTS, allow_missing=True)
            if PARTS > 1
            else []
        ),
    output:
        manifest=f"data/crops/{CORPUS}-{{generator}}/manifest.json",
        index=f"data/crops/{CORPUS}-{{generator}}/index.parquet",
        rejects=f"data/crops/{CORPUS}-{{generator}}/rejects.parquet",
        records=f"data/synthesis/{CORPUS}-{{generator}}/records.parquet",
        lag=f"data/synthesis/{CORPUS}-{{generator}}/lag.json",
    log:
        "logs/synthesis/{generator}.log",
    benchmark:
        "logs/synthesis/{generator}.tsv"
