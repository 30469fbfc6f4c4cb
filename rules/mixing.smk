# beta = N|Dd| / (N|Dd| + |Dg|) as an index over crop sets that stay as they are.
from visemix.config.repeats import repeats_value


rule mixture_real:
    input:
        real=f"data/crops/{CORPUS}-train/manifest.json",
    output:
        mixture=f"data/mixtures/{CORPUS}-real.json",
    log:
        "logs/mixtures/real.log",
    benchmark:
        "logs/mixtures/real.tsv"
    localrule: True
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
    localrule: True
    params:
        repeats=in_one_line(lambda wildcards: str(repeats_value(wildcards.repeats))),
        redraw=PARAMETERS["mixing"]["redraw"],
        seed=PARAMETERS["mixing"]["seed"],
        code=lambda wildcards: code_digest(SCRIPTS / "mixture.py"),
    script:
        SCRIPTS / "mixture.py"
