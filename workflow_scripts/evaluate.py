"""Read every clip of a test set with one trained model."""

from pathlib import Path

from visemix.run.gpus import device_name, lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    # torch reads the lease when it is imported
    import json

    from visemix.evaluation.predictions import predict, provenance_of, write_evaluation

    record = json.loads(Path(snakemake.input.record).read_text())
    crops = Path(snakemake.input.crops).parent
    predictions = predict(
        Path(snakemake.input.model).parent,
        crops,
        record["words"],
        shuffle_frames=snakemake.params.shuffle_frames,
        seed=int(snakemake.wildcards.seed),
        device=device_name(),
        **snakemake.params.evaluation,
    )
    facts = {
        "run": snakemake.wildcards.run,
        "seed": int(snakemake.wildcards.seed),
        "frames_shuffled": snakemake.params.shuffle_frames,
        "weights_sha256": record["digests"]["weights"],
    }
    facts |= provenance_of(crops, snakemake.params.evaluation, snakemake.params.code)
    write_evaluation(Path(snakemake.output.predictions).parent, predictions, facts)
