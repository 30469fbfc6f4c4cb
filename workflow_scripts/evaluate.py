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
    crops, shuffled = Path(snakemake.input.crops).parent, snakemake.params.shuffle_frames
    run, seed = snakemake.wildcards.run, int(snakemake.wildcards.seed)
    predictions = predict(
        Path(snakemake.input.model).parent, crops, record["words"], shuffle_frames=shuffled,
        seed=seed, device=device_name(), **snakemake.params.evaluation,
    )  # fmt: skip
    facts = {"run": run, "seed": seed, "frames_shuffled": shuffled}
    facts |= {"weights_sha256": record["digests"]["weights"]}
    facts |= provenance_of(crops, snakemake.params.evaluation, snakemake.params.code)
    write_evaluation(Path(snakemake.output.predictions).parent, predictions, facts)
