# A cell of a table re-run and compared with its record; `visemix audit` has more options.
#   snakemake --cores all --force audits/lipgen/table3/tafm-0.1.json
# No inputs, on purpose: an audit looks at what lies there, and must not bring it up to date first.
from visemix.tables.made_from import record_digest


rule audit:
    output:
        report="audits/{paper}/{table}/{row}.json",
        page="audits/{paper}/{table}/{row}.html",
    log:
        "logs/audits/{paper}-{table}-{row}.log",
    benchmark:
        "logs/audits/{paper}-{table}-{row}.tsv"
    wildcard_constraints:
        row="[A-Za-z0-9.-]+",
    localrule: True
    threads: 64
    params:
        cell=in_one_line(lambda wildcards: cells.find_cell("/".join(wildcards)).id),
        # another record or other parameters are another audit
        record=lambda wildcards: record_digest(wildcards.paper, wildcards.table),
        parameters=PARAMETERS,
    script:
        SCRIPTS / "audit.py"
