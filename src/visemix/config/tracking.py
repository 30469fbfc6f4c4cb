"""The section `tracking`: where MLflow shows the cells."""

from visemix.config.section import Section


class Tracking(Section):
    """MLflow's store."""

    uri: str | None = None
    """Address of the MLflow store; null: the variable MLFLOW_TRACKING_URI, else the file
    tracking/mlflow.db."""
    experiment: str = "visemix"
    """Name of MLflow's experiment."""
