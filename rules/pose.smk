# The pose-augmented test set (LipGen's Table II): draw angles, turn the heads of test clips, crop again.


rule pose_manifest:
    input:
        manifest=rules.manifest.output.manifest,
    output:
        manifest=f"data/manifests/{CORPUS}-pose.parquet",
    log:
        "logs/pose_manifest.log",
    benchmark:
        "logs/pose_manifest.tsv"
    localrule: True
    params:
        angles=PARAMETERS["pose"]["angles"],
        untouched_proportion=PARAMETERS["pose"]["untouched_proportion"],
        two_axes_proportion=PARAMETERS["pose"]["two_axes_proportion"],
        seed=PARAMETERS["pose"]["seed"],
        code=lambda wildcards: code_digest(SCRIPTS / "pose_manifest.py"),
    script:
        SCRIPTS / "pose_manifest.py"


rule pose_crops:
    input:
        manifest=rules.pose_manifest.output.manifest,
    output:
        manifest=f"data/crops/{CORPUS}-pose/manifest.json",
        index=f"data/crops/{CORPUS}-pose/index.parquet",
        rejects=f"data/crops/{CORPUS}-pose/rejects.parquet",
    log:
        "logs/pose_crops.log",
    benchmark:
        "logs/pose_crops.tsv"
    threads: 64
    resources:
        gpu=1,
    params:
        root=ROOT,
        crops=PARAMETERS["crops"],
        code=lambda wildcards: code_digest(SCRIPTS / "pose_crops.py"),
    script:
        SCRIPTS / "pose_crops.py"


rule pose_sheet:
    input:
        manifest=rules.manifest.output.manifest,
    output:
        sheet=report(
            f"data/pose/{CORPUS}-sheet.png",
            category="test set",
            caption="../report_captions/pose.rst",
        ),
    log:
        "logs/pose_sheet.log",
    benchmark:
        "logs/pose_sheet.tsv"
    params:
        root=ROOT,
        angles=PARAMETERS["pose"]["angles"],
        crops=PARAMETERS["crops"],
        code=lambda wildcards: code_digest(SCRIPTS / "pose_sheet.py"),
    script:
        SCRIPTS / "pose_sheet.py"
