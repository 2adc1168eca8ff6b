"""Calibrations corrected for a shift of the inputs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.estimation.bins import score_bins, truth_counts
from watchkeeper.detectors.estimation.calibration import Curves, curves
from watchkeeper.detectors.estimation.rows import Rows
from watchkeeper.detectors.estimation.weighting import SEPARABLE, corrected, weights
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray


def population(seed: int, n: int, share: float) -> tuple[IntArray, FloatArray, BoolArray]:
    """A group of people, a share of all, for whom the model's scores are too high; codes of the
    group, of something without meaning, and of a date that never varies."""
    random = np.random.default_rng(seed)
    group = random.random(n) < share
    log_odds = random.normal(0.0, 1.5, n)
    truth = random.random(n) < 1 / (1 + np.exp(-(log_odds - 1.5 * group)))
    codes = np.column_stack([group, random.integers(0, 8, n), np.zeros(n)]).astype(np.int64)
    return codes, 1 / (1 + np.exp(-log_odds)), truth


def histograms(codes: IntArray) -> list[IntArray]:
    return [np.bincount(column, minlength=8) for column in codes.T]


def known(seed: int, n: int, share: float) -> tuple[Curves, Rows]:
    codes, score, truth = population(seed, n, share)
    keys = np.random.default_rng(seed).permutation(n).astype(np.uint64)
    rows = Rows(keys, codes, score_bins(score), truth).sampled()
    return curves(truth_counts(score, truth)[None]), rows


def test_the_weighted_rows_have_the_histograms_of_the_window() -> None:
    _, rows = known(1, 10_000, 0.3)
    codes, _, _ = population(2, 5_000, 0.6)

    found = weights(rows, histograms(codes), 5_000)

    share = found.weight[rows.codes[:, 0] == 1].sum() / found.weight.sum()
    assert found.sound
    assert abs(share - codes[:, 0].mean()) < 0.01
    assert found.weight.mean() == np.float64(1.0) or abs(found.weight.mean() - 1.0) < 1e-9


def test_a_shift_towards_a_group_that_is_judged_worse_is_corrected() -> None:
    curve, rows = known(1, 16_000, 0.2)
    codes, score, truth = population(2, 20_000, 0.7)

    better = corrected(curve, rows, weights(rows, histograms(codes), 20_000))

    bins = score_bins(score)
    before, after = (abs(float(c.chance[0][bins].mean() - truth.mean())) for c in (curve, better))
    assert before > 0.05
    assert after < 0.3 * before
    assert np.all(better.noise >= curve.noise)


def test_without_a_shift_next_to_nothing_is_corrected() -> None:
    curve, rows = known(1, 16_000, 0.2)
    codes, _, _ = population(2, 2_000, 0.2)

    same = corrected(curve, rows, weights(rows, histograms(codes), 2_000))

    assert np.abs(same.chance - curve.chance).max() < 0.03


def test_a_date_among_the_features_is_left_out() -> None:
    _, rows = known(1, 5_000, 0.3)
    codes, _, _ = population(2, 2_000, 0.4)
    codes[:, 2] = 3  # it was 0 throughout the reference

    found = weights(rows, histograms(codes), 2_000)

    assert found.left_out == (2,)
    assert found.sound


def test_two_populations_that_hardly_overlap_are_not_weighted() -> None:
    random = np.random.default_rng(1)
    codes = np.minimum(random.geometric(0.3, (4_000, 6)), 20)
    score = random.random(4_000)
    rows = Rows(np.arange(4_000, dtype=np.uint64), codes, score_bins(score), score > 0.5).sampled()
    other = np.minimum(random.geometric(0.08, (2_000, 6)), 20)
    curve = curves(truth_counts(score, score > 0.5)[None])

    found = weights(rows, [np.bincount(c, minlength=21) for c in other.T], 2_000)

    assert not found.sound
    assert found.auc >= SEPARABLE or found.worth < 200
    assert corrected(curve, rows, found) is curve


@given(st.integers(0, 1_000), st.integers(0, 40), st.integers(-3, 5_000))
def test_odd_windows_give_finite_weights(seed: int, n: int, size: int) -> None:
    random = np.random.default_rng(seed)
    codes = random.integers(0, 5, (n, 3))
    rows = Rows(
        random.permutation(n).astype(np.uint64), codes, random.integers(0, 512, n), codes[:, 0] > 2
    ).sampled()
    window = [random.integers(-2, 9, length) for length in random.integers(0, 9, 3)]

    found = weights(rows, window, size)

    assert len(found.weight) == n
    assert np.isfinite(found.weight).all()
    assert np.all(found.weight >= 0)
    assert 0.0 <= found.auc <= 1.0 + 1e-9
    assert np.isfinite(found.worth)
