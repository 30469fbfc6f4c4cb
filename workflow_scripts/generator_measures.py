"""Measure a generator on its evaluation set, and show some of its clips."""

from functools import partial
from pathlib import Path

from visemix.run.gpus import device_name, lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    # torch reads the lease when it is imported
    from visemix.evaluation.features import front_end_features
    from visemix.evaluation.measure_generator import measure_generator, read_evaluations
    from visemix.report.figures import write_png
    from visemix.report.generators import sheet
    from visemix.run.atomic import write_json

    generator, device = snakemake.wildcards.generator, device_name()
    corpus, threads = snakemake.params.corpus, snakemake.threads
    folders = [Path(snakemake.input[name]).parent for name in ("made", "real")]
    observer = Path(snakemake.input.model).parent
    found = measure_generator(
        *folders,
        snakemake.params.seconds,
        partial(front_end_features, observer, device=device, threads=threads),
        read_evaluations(corpus, generator, snakemake.params.seeds),
        mixed_with=snakemake.params.mixed_with,
    )
    facts = {"generator": generator, "device": device, "threads": threads}
    write_json(snakemake.output.measures, found | facts)
    write_png(snakemake.output.sheet, sheet({generator: folders[0]}, folders[1]))
