"""`snakemake generators` plans what the comparison of generators needs."""

from tests.helpers.workflow import planned_jobs, snakemake


def compared(*generators):
    text = f"overrides={{generators: {{compared: [{', '.join(generators)}]}}}}"
    return ("generators", "--config", "scale=test", text)


def test_one_generator_is_read_by_two_recognisers_on_real_and_on_made_clips(tmp_path):
    assert planned_jobs(tmp_path, "generators") == {
        "miniature_corpus": 1, "manifest": 1, "crops": 2, "visemes": 1, "pairs": 1, "synthesis": 1,
        "mixture_real": 1, "mixture_synthetic": 1, "train": 2, "sounds": 2, "sync_expert": 1,
        "evaluation_set": 1, "evaluate": 4, "generator_measures": 1, "generator_table": 1,
        "generators": 1,
    }  # fmt: skip


def test_more_generators_share_the_recognisers_and_the_expert(tmp_path):
    one = planned_jobs(tmp_path, *compared("portrait"))
    jobs = planned_jobs(tmp_path, *compared("portrait", "viseme", "wav2lip"))
    more = {"evaluation_set": 2, "evaluate": 4, "generator_measures": 2, "train_generator": 1}
    assert jobs == {rule: one.get(rule, 0) + more.get(rule, 0) for rule in {**one, **more}}


def test_a_generator_that_does_not_exist_is_named(tmp_path):
    done = snakemake(tmp_path, "--dry-run", *compared("nobody"), check=False)
    output = done.stdout + done.stderr
    assert done.returncode and "generators.compared" in output and "nobody" in output
