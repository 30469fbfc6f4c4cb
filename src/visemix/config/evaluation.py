"""The section `evaluation`: how a trained network is tested."""

from visemix.config.section import PositiveInt, Section


class Evaluation(Section):
    """Predictions of each test clip."""

    batch_size: PositiveInt = 64
    """Clips that the network reads at once."""
    rejected_are_errors: bool = True
    """Whether a test clip without a mouth crop counts as an error; false leaves it out of n. The
    tables say how many there are."""
    threads: PositiveInt = 1
    """CPU threads; on a CPU another number rounds otherwise."""
