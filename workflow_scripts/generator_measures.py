"""Measure a generator on its evaluation set, and show some of its clips."""

from pathlib import Path

from visemix.run.gpus import device_name, lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    # torch reads the lease when it is imported
    from visemix.run.atomic import write_json
    from visemix.synthesis.measure_generator import measure_generator, read_evaluations
    from visemix.synthesis.observers import accuracy_of_expert, observers
    from visemix.tables.figures import write_png
    from visemix.tables.generator_sheet import sheet

    generator, device, threads = snakemake.wildcards.generator, device_name(), snakemake.threads
    inputs = ("made", "real", "model", "expert", "sounds")
    made, real, run, expert, sounds = (Path(snakemake.input[name]).parent for name in inputs)
    found = measure_generator(
        made, real, snakemake.params.seconds, mixed_with=snakemake.params.mixed_with,
        predictions=read_evaluations(snakemake.params.corpus, generator, snakemake.params.seeds),
        **observers(run, expert, real, sounds, device, threads),
    )  # fmt: skip
    # of the measuring; that on which the clips were made stands beside their speed
    facts = {"generator": generator, "measured_on": device, "threads": threads}
    facts |= {"sync_expert": accuracy_of_expert(expert)}
    write_json(snakemake.output.measures, found | facts)
    write_png(snakemake.output.sheet, sheet({generator: made}, real))
