"""The beta axis from made-up predictions: four hundred clips, two seeds, ten N."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.helpers.toy_clips import make_toy
from tests.helpers.workflow import REPOSITORY

from visemix.clips.mixture import (
    make_mixture,
    make_sampled_mixture,
    mixing_ratio,
    write_mixture,
)
from visemix.config.parameters import merge, resolve_parameters
from visemix.evaluation.resolution import compare_rows, pooled_seed_variance
from visemix.evaluation.statistics import ONE_TRAINING, holm, verdict
from visemix.papers.beta_axis import curve_points, samples
from visemix.papers.cells import mixture_file
from visemix.report.beta_page import page_facts
from visemix.tables import beta_curve as beta
from visemix.tables import figures, samplings
from visemix.tables.results import Results
from visemix.tables.shown import shown_digest

CONFIG = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
PNG = b"\x89PNG"
CLIPS, REAL, SYNTHETIC = 400, 300, 246


def parameters(**changes):
    """Miniature parameters with two seeds, and changes of the section beta."""
    changes = {"seeds": [0, 1], "generators": ["portrait"]} | changes
    return resolve_parameters(merge(CONFIG, {"overrides": {"beta": changes}}), REPOSITORY)


def write_run(folder, run, seed, accuracy, share):
    """Predictions with that accuracy and a record with that beta."""
    rng = np.random.default_rng([seed, *run.encode()])
    clips = [f"c{n:03d}" for n in rng.permutation(CLIPS)]
    correct = rng.permutation(np.arange(CLIPS) < round(accuracy * CLIPS))
    frame = pd.DataFrame({"clip_id": clips, "label": "A", "correct": correct, "rejected": False})
    evaluation = folder / f"evaluations/{run}/seed-{seed}/miniature-test"
    evaluation.mkdir(parents=True)
    frame.to_parquet(evaluation / "predictions.parquet")
    record = folder / f"runs/{run}/seed-{seed}"
    record.mkdir(parents=True)
    content = {"mixture": {"beta": share}, "training": {"steps": 400}}
    (record / "training.json").write_text(json.dumps(content))


def finished(folder, accuracy_of, given):
    """Results of every point of the axis; accuracy_of: (beta, N) -> accuracy (0..1)."""
    for point in {p.run: p for p in curve_points(given)}.values():
        numerator, _, denominator = point.repeats.partition("/")
        repeats = float(numerator) / float(denominator or 1)
        share = mixing_ratio(repeats, REAL, SYNTHETIC)
        for seed in given["beta"]["seeds"]:
            write_run(folder, point.run, seed, accuracy_of(share, repeats), share)


@pytest.fixture
def peaked(tmp_path, monkeypatch):
    """Accuracy with its top at beta 0.6, 30 points above synthetic clips alone."""
    monkeypatch.chdir(tmp_path)
    finished(tmp_path, lambda share, repeats: 0.8 - 1.3 * (share - 0.6) ** 2, parameters())
    return parameters()


def tables(given):
    results = Results(beta.seeds_of_axis(given))
    axis = beta.read_axis(results)
    curve = beta.curve_table(axis, results)
    return axis, curve, beta.difference_table(axis, curve)


def test_every_point_has_n_interval_seeds_and_its_beta(peaked):
    axis, curve, _ = tables(peaked)
    assert curve.columns.tolist() == beta.CURVE
    assert curve.repeats.tolist() == ["0", "1/3", "1/2", "1", "2", "5", "7", "10", "20", "inf"]
    assert curve.beta.is_monotonic_increasing
    assert (curve.beta.iloc[0], curve.beta.iloc[-1]) == (0, 1)
    assert (curve.n == CLIPS).all()
    assert (curve.seeds == 2).all()
    assert ((curve.low < curve.accuracy) & (curve.accuracy < curve.high)).all()
    at_1 = curve[curve.repeats == "1"].iloc[0]
    assert (at_1.run, at_1.accuracy) == ("lipgen-R3", pytest.approx(80, abs=0.5))
    assert len(axis) == 10


def test_mixtures_are_tested_against_the_real_clips_alone_and_corrected_together(peaked):
    axis, curve, differences = tables(peaked)
    assert differences.repeats.tolist() == curve.repeats.tolist()[:-1]
    by_run = {point.run: frames for point, frames in axis.items()}
    variance = pooled_seed_variance(list(by_run.values()))
    for row in differences.itertuples():
        result = compare_rows(by_run["lipgen-R2"], by_run[row.run], variance)
        assert row.difference == pytest.approx(100 * result["difference"])
        assert row.p == result["p"]
    assert differences.p_holm.tolist() == holm(differences.p)


def test_the_fit_finds_the_place_and_the_tables_say_so(peaked):
    axis, curve, differences = tables(peaked)
    fits = beta.fit_axis(axis, curve)
    fit = fits["updates", "portrait"]
    assert fit.resolved
    assert fit.place_low < 0.6 < fit.place_high
    assert beta.fit_table(fits).place.tolist() == [fit.place]
    text = beta.curve_markdown(curve, fits)
    assert text.count("\n| equal updates | portrait |") == 10
    assert f"equal updates, portrait: maximum at beta {fit.place:.2f} [" in text
    assert "helps at N = 1 (" in beta.differences_markdown(differences)
    assert figures.curve_figure(curve, fits, beta.CONTROLS).startswith(PNG)
    assert figures.difference_figure(differences, beta.CONTROLS).startswith(PNG)


def frame(rows, seeds=2):
    """A table of differences: rows of (N, difference, p_holm)."""
    return pd.DataFrame(
        [
            {"control": "updates", "generator": "g", "repeats": repeats, "difference": difference,
             "low": difference - 6, "high": difference + 6, "p_holm": p, "n": 500,
             "verdict": verdict(difference, p, seeds)}
            for repeats, difference, p in rows
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "verdict", "words"),
    [
        ([("0", -40, 0.001), ("1", 7, 0.01)], "helps", "helps at N = 1 (+7.0)"),
        ([("1", -7, 0.01), ("2", -1, 0.9)], "harms", "harms at N = 1 (-7.0)"),
        (
            [("1", -7, 0.01), ("3/2", 8, 0.02)],
            "both",
            "helps at N = 3/2 (+8.0); harms at N = 1 (-7.0)",
        ),
        (
            [("0", -40, 0.001), ("1/2", -20, 0.001), ("1", 3, 0.4)],
            "not resolved",
            "not resolved at n = 500: the intervals reach 6 points to either side",
        ),
        ([("1/2", -20, 0.001)], "not asked", "no N from 1 on was run"),
    ],
)
def test_verdicts_judge_what_is_added_to_all_real_clips(rows, verdict, words):
    [found] = beta.verdicts(frame(rows))
    assert (found["verdict"], found["words"]) == (verdict, words)


def test_one_training_a_point_is_said_in_the_verdict():
    [found] = beta.verdicts(frame([("1", 7, 0.01)], seeds=1))  # was: helps at N = 1
    assert found["verdict"] == "not resolved"
    assert found["words"] == "not resolved: one training a point, and another seed may turn it"


def test_few_points_have_tables_but_no_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = parameters(repeats=["1/2", 1, ".inf"], seeds=[0], control=["updates", "epochs"])
    finished(tmp_path, lambda share, repeats: 0.5, given)
    axis, curve, differences = tables(given)
    fits = beta.fit_axis(axis, curve)
    assert fits == {}
    assert "no curve was fitted: fewer than 5 points" in beta.curve_markdown(curve, fits)
    assert (differences.verdict == ONE_TRAINING).all()
    assert len(differences) == 4  # the trainings of equal epochs are other ones
    assert beta.fit_table(fits).columns.tolist() == beta.FITS
    assert figures.curve_figure(curve, fits, beta.CONTROLS).startswith(PNG)


def test_the_report_shows_the_axis_only_where_it_was_made(peaked, tmp_path):
    assert page_facts() is None
    assert shown_digest() == ""
    _, curve, differences = tables(peaked)
    folder = tmp_path / "tables/beta"
    folder.mkdir(parents=True)
    for name, table in (
        ("curve", curve), ("verdicts", differences), ("fits", beta.fit_table({})),
    ):  # fmt: skip
        table.to_csv(folder / f"{name}.csv", index=False)
    facts = page_facts()
    assert len(facts["curve"]) == 10 and len(facts["differences"]) == 9
    assert [name for name, _ in facts["pictures"]] == ["curve.png", "verdicts.png"]
    assert facts["verdicts"][0]["words"].startswith("helps at N = 1 (")
    differences.drop(columns="verdict").to_csv(folder / "verdicts.csv", index=False)
    assert page_facts()["verdicts"] == facts["verdicts"]  # of tables of older code
    digest = shown_digest()
    (folder / "curve.csv").write_text("other")
    assert shown_digest() != digest


def test_draws_are_tested_and_their_spread_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = parameters(shares=[30, 50], samplings=3)
    real = make_toy(tmp_path / "data/crops/miniature-train", 40)
    synthetic = make_toy(tmp_path / "data/crops/miniature-portrait", 30, seed=1)
    write_mixture(
        mixture_file("lipgen-R2", given), make_mixture("x", real, None, float("inf"), seed=0)
    )
    for sample in samples(given):
        mixture = make_sampled_mixture(
            "x", real, synthetic, sample.share / 100, [0.3, 0.5], seed=ord(sample.draw)
        )
        write_mixture(mixture_file(sample.run, given), mixture)
    level = {"A": 0.5, "B": 0.6, "C": 0.7}
    for seed in (0, 1):
        write_run(tmp_path, "lipgen-R2", seed, 0.6, 1)
        for sample in samples(given):
            write_run(tmp_path, sample.run, seed, level[sample.draw], 0.5)
    table = samplings.samplings_table(Results(beta.seeds_of_axis(given)))
    assert table.columns.tolist() == samplings.COLUMNS
    assert table.share.tolist() == [0, 30, 30, 30, 50, 50, 50]
    assert table.clips.tolist() == [40] + [57] * 6  # 57 = 40 / 0.7, rounded down
    assert table.difference[1:].tolist() == pytest.approx([-10, 0, 10] * 2)
    spread = samplings.spread_over_draws(table)
    assert spread.sd.tolist() == pytest.approx([10, 10])
    text = samplings.samplings_markdown(table)
    assert "portrait, 50%: 60.0, sd 10.0 over the draws; 1 of 3 above the real clips alone" in text

    drawn = {run: samplings.drawn_clips(run, given) for run in table.run[1:]}
    assert drawn[table.run[4]] != drawn[table.run[5]]
    assert all(30 < len(clips) <= 57 for clips in drawn.values())  # toy sets share names
    rng = np.random.default_rng(0)
    clip_ids = [f"toy/{n:05d}" for n in range(40)]
    places = pd.DataFrame({"clip_id": clip_ids, "role": ["real", "synthetic"] * 20})
    places = places.assign(x=rng.normal(size=40), y=rng.normal(size=40))
    picture = figures.samplings_figure(table[1:], places, drawn, "draws")
    assert picture.startswith(PNG)
