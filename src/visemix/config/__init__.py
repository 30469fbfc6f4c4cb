"""The parameters: a frozen model for each section of params.yaml, and how a scale is resolved."""
