# Published and reproduced values side by side, the report, and one MLflow run a table cell.
from visemix.papers.reproduction import departures
from visemix.tables.shown import shown_digest

TABLES = [(p, t) for p in PARAMETERS["papers"] for t in cells.table_names(p)]
TABLE_CAPTION, ANGLES_CAPTION = "../report_captions/table.rst", "../report_captions/angles.rst"
POSE_TABLES = [(p, t) for p, t in TABLES if cells.table_test_set(p, t) == "pose"]


rule table:
    input:
        results=in_one_line(lambda w: cells.table_inputs(w.paper, w.table, PARAMETERS)),
        paper=lambda wildcards: cells.PAPERS / f"{wildcards.paper}.yaml",
    output:
        csv=report("tables/{paper}/{table}.csv", category="{paper}", caption=TABLE_CAPTION),
        markdown="tables/{paper}/{table}.md",
        metrics="tables/{paper}/{table}-metrics.json",
        figure=report("tables/{paper}/{table}.png", category="{paper}", caption=TABLE_CAPTION),
        record="tables/{paper}/{table}.json",
    log:
        "logs/tables/{paper}-{table}.log",
    benchmark:
        "logs/tables/{paper}-{table}.tsv"
    localrule: True
    params:
        corpus=CORPUS,
        scale=PARAMETERS["scale"],
        seeds=PARAMETERS["seeds"],
        runs=lambda wildcards: cells.changes_shown(wildcards.paper, wildcards.table, PARAMETERS),
        generator=GENERATOR,
        departures=lambda wildcards: departures(wildcards.paper, PARAMETERS | {"runs": {}}),
        code=lambda wildcards: code_digest(SCRIPTS / "table.py"),
    script:
        SCRIPTS / "table.py"


rule angles:
    input:
        results=in_one_line(lambda w: cells.table_inputs(w.paper, w.table, PARAMETERS)),
        angles=f"data/manifests/{CORPUS}-pose.parquet",
        paper=lambda wildcards: cells.PAPERS / f"{wildcards.paper}.yaml",
    output:
        csv=report("tables/{paper}/{table}-angles.csv", category="{paper}", caption=ANGLES_CAPTION),
        figure=report(
            "tables/{paper}/{table}-angles.png", category="{paper}", caption=ANGLES_CAPTION
        ),
    log:
        "logs/tables/{paper}-{table}-angles.log",
    benchmark:
        "logs/tables/{paper}-{table}-angles.tsv"
    localrule: True
    params:
        corpus=CORPUS,
        scale=PARAMETERS["scale"],
        seeds=PARAMETERS["seeds"],
        code=lambda wildcards: code_digest(SCRIPTS / "angles.py"),
    script:
        SCRIPTS / "angles.py"


rule report:
    input:
        tables=[f"tables/{p}/{t}.csv" for p, t in TABLES],
        figures=[f"tables/{p}/{t}.png" for p, t in TABLES],
        angles=[f"tables/{p}/{t}-angles.{form}" for p, t in POSE_TABLES for form in ("csv", "png")],
        claims="tables/claims.csv",
        power=[f"tables/{p}/power.csv" for p in PARAMETERS["papers"]],
        histories=expand(
            "runs/{run}/seed-{seed}/history.csv",
            run=[r for p in PARAMETERS["papers"] for r in cells.run_names(p)],
            seed=PARAMETERS["seeds"],
        ),
        full_models=[
            f"runs/{cells.read_paper(p)['full_model']}/seed-{SEED}/model.safetensors"
            for p in PARAMETERS["papers"]
        ],
        corpus=rules.manifest.output.manifest,
        crops=expand(
            f"data/crops/{CORPUS}-{{set}}/manifest.json", set=["train", "val", *cells.TEST_SETS]
        ),
        pose=[f"data/manifests/{CORPUS}-pose.parquet", f"data/pose/{CORPUS}-sheet.png"],
        synthetic=f"data/crops/{CORPUS}-{GENERATOR}/manifest.json",
        records=f"data/synthesis/{CORPUS}-{GENERATOR}/records.parquet",
        lag=f"data/synthesis/{CORPUS}-{GENERATOR}/lag.json",
        excluded=f"data/synthesis/{CORPUS}-{GENERATOR}/excluded_portraits.parquet",
        pairs=f"data/synthesis/{CORPUS}-{GENERATOR}/pairs.parquet",
        visemes=rules.visemes.output.visemes,
    output:
        # of the folder report/, which is replaced as a whole when it is finished, and not removed before
        html=update("report/index.html"),
    log:
        "logs/report.log",
    benchmark:
        "logs/report.tsv"
    localrule: True
    params:
        parameters=PARAMETERS,
        shown=lambda wildcards: shown_digest(),  # shown where it is, but never made for the report
        code=lambda wildcards: code_digest(SCRIPTS / "report.py"),
    script:
        SCRIPTS / "report.py"


rule track:
    input:
        tables=in_one_line(
            lambda w: [f"tables/{w.paper}/{table}.csv" for table in cells.table_names(w.paper)]
        ),
    output:
        cells="tracking/{paper}.json",
    log:
        "logs/track/{paper}.log",
    benchmark:
        "logs/track/{paper}.tsv"
    localrule: True
    params:
        parameters=PARAMETERS,
        code=lambda wildcards: code_digest(SCRIPTS / "track.py"),
    script:
        SCRIPTS / "track.py"
