"""Evaluation: predictions, metrics, statistics."""

OBSERVER = "lipgen-R2"  # the recogniser that judges generators: trained on real clips alone
MIXED = "lipgen-R3"  # the same network, trained on real and synthetic clips
