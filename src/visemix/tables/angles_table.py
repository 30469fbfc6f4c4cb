"""Accuracy on the pose-augmented test set by the angle that the heads were turned by.

LipGen prints one number for the whole set (Table II); the angles are not in the paper.
"""

import numpy as np
import pandas as pd

from visemix.evaluation.resolution import pooled_seed_variance
from visemix.papers.cells import compared_cells
from visemix.tables.results import Results, compared, summarise

AXES = ["untouched", "yaw", "pitch", "both"]
COLUMNS = ["run", "axis", "angle", "n", "accuracy", "low", "high"]


def read_angles(corpus: str) -> pd.DataFrame:
    """Columns clip_id, yaw and pitch (degrees, signed; both 0: untouched) of the pose set."""
    return pd.read_parquet(f"data/manifests/{corpus}-pose.parquet")[["clip_id", "yaw", "pitch"]]


def accuracy_by_angle(
    predictions: dict[str, list[pd.DataFrame]], angles: pd.DataFrame
) -> pd.DataFrame:
    """Accuracy of each run by axis and angle of the turn, columns COLUMNS.

    predictions: {run: prediction tables of the whole set, one a seed}; angles: as `read_angles`.
    axis is one of AXES, angle the larger of |yaw| and |pitch| in degrees; accuracy (mean over
    seeds) and its 95% Wilson interval over the n clips are in per cent, as in
    tables.results.summarise. Raises ValueError for clips without an angle.
    """
    groups = _groups(angles)
    rows = []
    for run, frames in predictions.items():
        lost = set(frames[0].clip_id) - set(groups.index)
        if lost:
            raise ValueError(
                f"{len(lost)} clips of {run} have no angle, {min(lost)!r} for one; the manifest of "
                "the pose set is of another run: re-run it and the evaluations"
            )
        keys = groups.loc[frames[0].clip_id]
        for (axis, angle), clips in keys.groupby(["axis", "angle"], observed=True).groups.items():
            summary = summarise([frame[frame.clip_id.isin(clips)] for frame in frames])
            rows.append({"run": run, "axis": axis, "angle": angle} | summary)
    return pd.DataFrame(rows, columns=COLUMNS)


def _groups(angles: pd.DataFrame) -> pd.DataFrame:
    """Columns axis (categorical, AXES in order) and angle by clip_id."""
    turned = angles.set_index("clip_id")[["yaw", "pitch"]].abs()
    number = (turned.yaw > 0).to_numpy(int) + 2 * (turned.pitch > 0).to_numpy(int)
    axis = pd.Categorical(np.array(AXES)[number], AXES)
    return pd.DataFrame({"axis": axis, "angle": turned.max(axis=1)})


def turned_differences(paper: str, table: str, results: Results) -> list[dict]:
    """The comparisons of a table on the pose set, over its turned clips alone.

    Returns for each compared pair {row, above} (names of the rows) and the results of
    tables.results.compared, whose p_holm is corrected for them.
    """
    angles = read_angles(results.parameters["corpus"]["name"])
    turned = angles.clip_id[(angles.yaw != 0) | (angles.pitch != 0)]
    rows = {
        run: [frame[frame.clip_id.isin(turned)] for frame in frames]
        for run, frames in results.of_table(paper, table).items()
    }
    pairs = {
        (later.row, earlier.row): (rows[earlier.own_run], rows[later.own_run])
        for earlier, later in compared_cells(paper, table)
    }
    found = compared(pairs, pooled_seed_variance(list(rows.values())))
    return [{"row": row, "above": above} | result for (row, above), result in found.items()]
