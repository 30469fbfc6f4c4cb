import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.toy_clips import make_toy

from visemix.clips.mixture import (
    check_sources,
    expand_mixture,
    make_mixture,
    make_sampled_mixture,
    mixing_ratio,
    read_mixture,
    write_mixture,
)

counts = st.integers(1, 400)
finite = st.floats(0, 6, allow_nan=False)


def described(n_real, n_synthetic, repeats, seed=0, redraw="fixed"):
    """A mixture without files behind it."""
    return {
        "sources": [
            {"clips": n_real, "repeats": "inf" if math.isinf(repeats) else repeats},
            {"clips": n_synthetic, "repeats": 0 if math.isinf(repeats) else 1},
        ],
        "seed": seed,
        "redraw": redraw,
    }


@given(counts, counts, finite)
def test_beta_is_the_definition_and_the_drawn_share(n_real, n_synthetic, repeats):
    beta = mixing_ratio(repeats, n_real, n_synthetic)
    assert beta == pytest.approx(repeats * n_real / (repeats * n_real + n_synthetic))
    source, _ = expand_mixture(described(n_real, n_synthetic, repeats))
    # Only the fraction of N is rounded, by half a clip at most.
    assert abs((source == 0).sum() - repeats * n_real) <= 0.5 + 1e-6
    assert (source == 1).sum() == n_synthetic


@given(counts, counts, finite, st.integers(0, 5))
def test_each_real_clip_is_drawn_floor_or_ceiling_n_times(n_real, n_synthetic, repeats, epoch):
    source, row = expand_mixture(described(n_real, n_synthetic, repeats, redraw="epoch"), epoch)
    times = np.bincount(row[source == 0], minlength=n_real)
    assert len(times) == n_real
    assert set(times) <= {math.floor(repeats), math.ceil(repeats)}
    assert (np.sort(row[source == 1]) == np.arange(n_synthetic)).all()


def test_ends_of_the_range():
    source, row = expand_mixture(described(5, 3, 0))
    assert source.tolist() == [1, 1, 1]
    assert mixing_ratio(0, 5, 3) == 0
    source, row = expand_mixture(described(5, 3, math.inf))
    assert source.tolist() == [0] * 5
    assert row.tolist() == list(range(5))
    assert mixing_ratio(math.inf, 5, 3) == 1
    assert mixing_ratio(1, 488_766, 400_000) == pytest.approx(0.5499, abs=5e-5)


def test_fixed_subset_stays_and_redrawn_subset_changes():
    fixed = described(100, 10, 0.5, seed=3)
    redrawn = described(100, 10, 0.5, seed=3, redraw="epoch")
    assert (expand_mixture(fixed, 0)[1] == expand_mixture(fixed, 4)[1]).all()
    first, other = expand_mixture(redrawn, 0)[1], expand_mixture(redrawn, 4)[1]
    assert len(first) == len(other)
    assert (first != other).any()
    assert (other == expand_mixture(redrawn, 4)[1]).all()
    assert (expand_mixture({**fixed, "seed": 4})[1] != expand_mixture(fixed)[1]).any()


@pytest.mark.parametrize(
    ("repeats", "n_real", "n_synthetic"),
    [(-1, 5, 5), (math.nan, 5, 5), (0, 5, 0), (math.inf, 0, 5)],
)
def test_impossible_mixtures_are_refused(repeats, n_real, n_synthetic):
    with pytest.raises(ValueError):
        mixing_ratio(repeats, n_real, n_synthetic)


def test_only_accepted_clips_count_and_the_file_is_plain_json(tmp_path):
    real = make_toy(tmp_path / "real", 20, rejected=30)
    synthetic = make_toy(tmp_path / "synthetic", 30, rejected=5)
    mixture = make_mixture("half", real, synthetic, 1.5, seed=1)
    assert [source["clips"] for source in mixture["sources"]] == [20, 30]
    assert [source["role"] for source in mixture["sources"]] == ["real", "synthetic"]
    assert mixture["beta"] == pytest.approx(0.5)
    path = tmp_path / "mixtures" / "half.json"
    write_mixture(path, mixture)
    assert read_mixture(path) == mixture
    check_sources(mixture)

    only_real = make_mixture("real", real, None, math.inf, seed=1)
    assert only_real["sources"][0]["repeats"] == "inf"
    assert only_real["beta"] == 1
    write_mixture(path, only_real)
    assert "Infinity" not in path.read_text()
    assert len(expand_mixture(read_mixture(path))[1]) == 20


def test_unfinished_changed_and_senseless_sources_are_refused(tmp_path):
    real = make_toy(tmp_path / "real", 6)
    with pytest.raises(FileNotFoundError, match="make the crops first"):
        make_mixture("x", tmp_path / "nothing", None, math.inf, seed=0)
    with pytest.raises(ValueError, match="no synthetic set"):
        make_mixture("x", real, None, 2, seed=0)
    mixture = make_mixture("x", real, None, math.inf, seed=0)
    manifest = json.loads((real / "manifest.json").read_text())
    (real / "manifest.json").write_text(json.dumps({**manifest, "parameters": "others"}))
    with pytest.raises(ValueError, match="re-run the mixture"):
        check_sources(mixture)
    path = tmp_path / "old.json"
    path.write_text(json.dumps({**mixture, "version": 0}))
    with pytest.raises(ValueError, match="version 0"):
        read_mixture(path)


SHARES = [0.1, 0.3, 0.5, 0.7]


def test_sampled_mixtures_have_one_size_and_the_share_asked_for(tmp_path):
    real, synthetic = make_toy(tmp_path / "real", 60), make_toy(tmp_path / "synthetic", 49)
    for share in SHARES:
        mixture = make_sampled_mixture("x", real, synthetic, share, SHARES, seed=0)
        source, row = expand_mixture(mixture)
        assert len(row) == 66  # the least of 60 / 0.9 and 49 / 0.7
        assert (source == 1).sum() == round(share * 66)
        assert mixture["beta"] == pytest.approx((source == 0).mean())
        for number in (0, 1):  # nothing is drawn twice
            assert len(set(row[source == number])) == (source == number).sum()
        check_sources(mixture)


def test_another_draw_takes_other_clips_of_both_kinds(tmp_path):
    real, synthetic = make_toy(tmp_path / "real", 60), make_toy(tmp_path / "synthetic", 49)
    draws = [make_sampled_mixture("x", real, synthetic, 0.5, SHARES, seed=s) for s in (0, 1)]
    (source, first), (_, second) = (expand_mixture(mixture) for mixture in draws)
    for number in (0, 1):
        assert set(first[source == number]) != set(second[source == number])


def test_shares_that_cannot_be_drawn_are_refused(tmp_path):
    real, synthetic = make_toy(tmp_path / "real", 6), make_toy(tmp_path / "synthetic", 6)
    with pytest.raises(ValueError, match="between 0 and 1"):
        make_sampled_mixture("x", real, synthetic, 1.0, [0.5, 1.0], seed=0)
    with pytest.raises(ValueError, match="is none of"):
        make_sampled_mixture("x", real, synthetic, 0.4, [0.5], seed=0)
    with pytest.raises(ValueError, match="0 of 6 synthetic clips cannot be drawn"):
        make_sampled_mixture("x", real, synthetic, 0.01, [0.01], seed=0)
