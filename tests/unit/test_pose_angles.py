"""Which clips of the pose-augmented test set are turned how far."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visemix.config.pose import Pose
from visemix.pose.angles import draw_angles

PAPER = Pose()


def manifest(n_test, n_train=3):
    rows = [(f"test/WORD_{i:05d}", "test") for i in range(n_test)]
    rows += [(f"train/WORD_{i:05d}", "train") for i in range(n_train)]
    return pd.DataFrame(rows, columns=["clip_id", "split"])


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(1, 200), share=st.floats(0, 1), both=st.floats(0, 1), seed=st.integers(0, 2**31)
)
def test_every_test_clip_is_there_and_the_untouched_proportion_is_exact(n, share, both, seed):
    drawn = draw_angles(
        manifest(n), Pose(untouched_proportion=share, two_axes_proportion=both, seed=seed)
    )
    assert drawn.clip_id.tolist() == sorted(manifest(n, 0).clip_id)
    untouched = (drawn.yaw == 0) & (drawn.pitch == 0)
    assert untouched.sum() == round(share * n)
    assert set(drawn.yaw.abs()) | set(drawn.pitch.abs()) <= {0, *PAPER.angles}


def test_angles_signs_and_axes_are_all_drawn_about_equally_often():
    drawn = draw_angles(manifest(4000), PAPER)
    turned = drawn[(drawn.yaw != 0) | (drawn.pitch != 0)]
    both = (turned.yaw != 0) & (turned.pitch != 0)
    assert both.mean() == pytest.approx(0.5, abs=0.03)
    one = turned[~both]
    assert (one.yaw != 0).mean() == pytest.approx(0.5, abs=0.04)
    for column in ("yaw", "pitch"):
        values = turned[column][turned[column] != 0]
        assert (values > 0).mean() == pytest.approx(0.5, abs=0.04)
        shares = values.abs().value_counts(normalize=True)
        assert np.allclose(shares[PAPER.angles], 0.25, atol=0.04)


def test_a_draw_depends_on_the_seed_and_the_clip_alone():
    few, many = (draw_angles(manifest(n), Pose(untouched_proportion=0)) for n in (50, 80))
    assert many.head(50)[["yaw", "pitch"]].equals(few[["yaw", "pitch"]])
    assert draw_angles(manifest(50), PAPER).equals(draw_angles(manifest(50).iloc[::-1], PAPER))
    other = draw_angles(manifest(50), Pose(seed=1))
    assert not other[["yaw", "pitch"]].equals(draw_angles(manifest(50), PAPER)[["yaw", "pitch"]])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"angles": []}, "angles"),
        ({"angles": [0]}, "angles"),
        ({"angles": [100]}, "angles"),
        ({"untouched_proportion": 1.2}, "untouched_proportion"),
        ({"two_axes_proportion": -1}, "two_axes_proportion"),
    ],
)
def test_nonsense_is_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        Pose(**wrong)


def test_a_manifest_without_test_clips_is_refused():
    with pytest.raises(ValueError, match="no clip of the test split"):
        draw_angles(manifest(0), PAPER)
