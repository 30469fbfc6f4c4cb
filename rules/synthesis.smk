# Synthetic clips: pair portraits with sounds of the training split, drive a generator, crop.

SYNTHETIC = f"{CORPUS}-{GENERATOR}"


rule pairs:
    input:
        manifest=rules.manifest.output.manifest,
        corpus=rules.miniature_corpus.output.speakers if CORPUS == "miniature" else [],
    output:
        pairs=f"data/synthesis/{SYNTHETIC}/pairs.parquet",
        excluded=f"data/synthesis/{SYNTHETIC}/excluded_portraits.parquet",
    log:
        "logs/pairs.log",
    benchmark:
        "logs/pairs.tsv"
    params:
        portraits=PARAMETERS["synthesis"]["portraits"],
        portrait_source=PARAMETERS["synthesis"]["portrait_source"],
        generator=GENERATOR,
        clips=PARAMETERS["synthesis"]["clips"],
        clips_per_portrait=PARAMETERS["synthesis"]["clips_per_portrait"],
        seed=PARAMETERS["synthesis"]["seed"],
        code=code_digest(
            "generators.pairing",
            "corpora.portrait_sources",
            "corpora.portraits",
            "faces.retinaface",
            "faces.onnx_graph",
        ),
    script:
        SCRIPTS / "pairs.py"


rule synthesis:
    input:
        manifest=rules.manifest.output.manifest,
        pairs=rules.pairs.output.pairs,
    output:
        manifest=f"data/crops/{SYNTHETIC}/manifest.json",
        index=f"data/crops/{SYNTHETIC}/index.parquet",
        rejects=f"data/crops/{SYNTHETIC}/rejects.parquet",
        records=f"data/synthesis/{SYNTHETIC}/records.parquet",
    log:
        "logs/synthesis.log",
    benchmark:
        "logs/synthesis.tsv"
    threads: 64
    resources:
        gpu=1,
    params:
        root=ROOT,
        portraits=PARAMETERS["synthesis"]["portraits"],
        generator=GENERATOR,
        min_face_share=PARAMETERS["synthesis"]["min_face_share"],
        crops=PARAMETERS["crops"],
        external=settings_of(GENERATOR, PARAMETERS["external"]),
        code=code_digest("generators", "heads", "faces", "clips.shard_writer", "media"),
    script:
        SCRIPTS / "synthesis.py"
