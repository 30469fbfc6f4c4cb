# What the papers claim and what their cells and our runs say of it; what it takes to resolve a difference.
from visemix.papers.claims import CLAIMS, claims_inputs

SHOWN = {key: PARAMETERS[key] for key in ("scale", "corpus", "papers", "runs", "seeds")}


rule claims:
    input:
        results=claims_inputs(PARAMETERS),
        claims=CLAIMS,
        papers=[cells.PAPERS / f"{paper}.yaml" for paper in cells.paper_names()],
    output:
        csv=report("tables/claims.csv", category="claims", caption="../report_captions/claims.rst"),
        markdown="tables/claims.md",
    log:
        "logs/tables/claims.log",
    benchmark:
        "logs/tables/claims.tsv"
    localrule: True
    params:
        parameters=SHOWN,
        code=lambda wildcards: code_digest(SCRIPTS / "claims.py"),
    script:
        SCRIPTS / "claims.py"


rule paper_power:
    input:
        results=in_one_line(
            lambda wildcards: [
                file
                for table in cells.table_names(wildcards.paper)
                for file in cells.table_inputs(wildcards.paper, table, PARAMETERS)
            ]
        ),
        claims=CLAIMS,
        paper=lambda wildcards: cells.PAPERS / f"{wildcards.paper}.yaml",
    output:
        csv=report(
            "tables/{paper}/power.csv", category="{paper}", caption="../report_captions/power.rst"
        ),
        markdown="tables/{paper}/power.md",
    log:
        "logs/tables/{paper}-power.log",
    benchmark:
        "logs/tables/{paper}-power.tsv"
    localrule: True
    params:
        parameters=SHOWN,
        code=lambda wildcards: code_digest(SCRIPTS / "power.py"),
    script:
        SCRIPTS / "power.py"


rule power:
    input:
        expand("tables/{paper}/power.csv", paper=PARAMETERS["papers"]),
    localrule: True
