# beta = N|Dd| / (N|Dd| + |Dg|) as an index over crop sets that stay as they are.


rule mixture_real:
    input:
        real=f"data/crops/{CORPUS}-train/manifest.json",
    output:
        mixture=f"data/mixtures/{CORPUS}-real.json",
    log:
        "logs/mixtures/real.log",
    benchmark:
        "logs/mixtures/real.tsv"
    params:
        repeats="inf",
        redraw=PARAMETERS["mixing"]["redraw"],
        seed=PARAMETERS["mixing"]["seed"],
        code=lambda wildcards: code_digest(SCRIPTS / "mixture.py"),
    script:
        SCRIPTS / "mixture.py"


rule mixture_synthetic:
    input:
        real=f"data/crops/{CORPUS}-train/manifest.json",
        synthetic=rules.synthesis.output.manifest,
    output:
        mixture=f"data/mixtures/{CORPUS}-{{generator}}-N{{repeats}}.json",
    log:
        "logs/mixtures/{generator}-N{repeats}.log",
    benchmark:
        "logs/mixtures/{generator}-N{repeats}.tsv"
    params:
        repeats=lambda wildcards: wildcards.repeats,
        redraw=PARAMETERS["mixing"]["redraw"],
        seed=PARAMETERS["mixing"]["seed"],
        code=lambda wildcards: code_digest(SCRIPTS / "mixture.py"),
    script:
        SCRIPTS / "mixture.py"
