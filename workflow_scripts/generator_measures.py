"""Measure a generator on its evaluation set, and show some of its clips."""

import json
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
    from visemix.generators.paired_clips import open_paired
    from visemix.generators.wav2lip.syncnet import load_syncnet, sync_confidence
    from visemix.run.atomic import write_json
    from visemix.tables.figures import write_png
    from visemix.tables.generator_sheet import sheet

    generator, device = snakemake.wildcards.generator, device_name()
    corpus, threads = snakemake.params.corpus, snakemake.threads
    folders = [Path(snakemake.input[name]).parent for name in ("made", "real")]
    observer = Path(snakemake.input.model).parent
    expert = load_syncnet(Path(snakemake.input.expert).parent, device)
    paired = open_paired(folders[1], Path(snakemake.input.sounds).parent)
    row_of = {clip_id: row for row, clip_id in enumerate(paired.clip_ids)}
    found = measure_generator(
        *folders,
        snakemake.params.seconds,
        partial(front_end_features, observer, device=device, threads=threads),
        read_evaluations(corpus, generator, snakemake.params.seeds),
        sync=partial(sync_confidence, expert),
        sounds=lambda clip_id: paired.sounds([row_of[clip_id]])[0],
        mixed_with=snakemake.params.mixed_with,
    )
    # of the measuring; that on which the clips were made stands beside their speed
    facts = {"generator": generator, "measured_on": device, "threads": threads}
    trained = json.loads((Path(snakemake.input.expert).parent / "expert.json").read_text())
    facts["sync_expert"] = trained["shifts"]
    write_json(snakemake.output.measures, found | facts)
    write_png(snakemake.output.sheet, sheet({generator: folders[0]}, folders[1]))
