# What trained generators learn from and become: sounds beside the crops of a split, and weights.
from visemix.config.parameters import trained_settings
from visemix.config.generator_names import LIP_READER_JUDGED


rule sounds:
    input:
        manifest=rules.manifest.output.manifest,
    output:
        sounds=f"data/sounds/{CORPUS}-{{split}}/sounds.npy",
        index=f"data/sounds/{CORPUS}-{{split}}/index.parquet",
        rejects=f"data/sounds/{CORPUS}-{{split}}/rejects.parquet",
    log:
        "logs/sounds/{split}.log",
    benchmark:
        "logs/sounds/{split}.tsv"
    threads: 64
    params:
        root=ROOT,
        code=lambda wildcards: code_digest(SCRIPTS / "sounds.py"),
    script:
        SCRIPTS / "sounds.py"


rule train_generator:
    input:
        crops=expand(f"data/crops/{CORPUS}-{{split}}/manifest.json", split=["train", "val"]),
        sounds=expand(f"data/sounds/{CORPUS}-{{split}}/index.parquet", split=["train", "val"]),
        lip_reader=lambda wildcards: (
            f"runs/{PARAMETERS['generators']['lip_reader']}/seed-{SEED}/training.json"
            if wildcards.generator in LIP_READER_JUDGED
            else []
        ),
    output:
        weights=f"data/generators/{CORPUS}-{{generator}}/weights.safetensors",
        history=f"data/generators/{CORPUS}-{{generator}}/history.csv",
        record=f"data/generators/{CORPUS}-{{generator}}/generator.json",
    log:
        "logs/train_generator/{generator}.log",
    benchmark:
        "logs/train_generator/{generator}.tsv"
    wildcard_constraints:
        generator="|".join(sorted(TRAINED)) or "none",
    threads: PARAMETERS["generators"]["threads"]
    resources:
        gpu=1,
    params:
        settings=lambda wildcards: trained_settings(wildcards.generator, PARAMETERS),
        seed=PARAMETERS["generators"]["seed"],
        code=lambda wildcards: code_digest(
            SCRIPTS / "train_generator.py", GENERATORS[wildcards.generator]
        ),
    script:
        SCRIPTS / "train_generator.py"


# Another training than the expert in Wav2Lip's own loss, by its seed.
rule sync_expert:
    input:
        crops=rules.train_generator.input.crops,
        sounds=rules.train_generator.input.sounds,
    output:
        weights=f"data/generators/{CORPUS}-sync-expert/expert.safetensors",
        history=f"data/generators/{CORPUS}-sync-expert/expert.csv",
        record=f"data/generators/{CORPUS}-sync-expert/expert.json",
    log:
        "logs/sync_expert.log",
    benchmark:
        "logs/sync_expert.tsv"
    threads: PARAMETERS["generators"]["threads"]
    resources:
        gpu=1,
    params:
        settings=trained_settings("wav2lip", PARAMETERS),
        seed=PARAMETERS["generators"]["seed"] + 1000,
        code=lambda wildcards: code_digest(SCRIPTS / "sync_expert.py"),
    script:
        SCRIPTS / "sync_expert.py"
