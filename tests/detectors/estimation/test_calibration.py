"""What a score is worth."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from tests.detectors.estimation.made import ODD_TRUTHS, drawn
from watchkeeper.detectors.estimation.bins import MIDDLE, truth_counts
from watchkeeper.detectors.estimation.calibration import curves
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.types import IntArray


def test_a_curve_is_the_isotonic_regression_of_its_bins() -> None:
    from scipy.optimize import isotonic_regression

    counts = truth_counts(*drawn(1, 5_000, bent=0.5, raised=0.7))
    n = counts.sum(axis=0)
    used = n > 0

    chance = curves(counts[None]).chance[0]

    known = isotonic_regression(counts[1, used] / n[used], weights=n[used]).x
    np.testing.assert_allclose(chance[used], known, atol=1e-12)


def test_a_model_that_is_too_sure_of_itself_is_put_right() -> None:
    curve = curves(truth_counts(*drawn(2, 60_000, bent=0.5))[None])

    expected = 1.0 / (1.0 + np.exp(-0.5 * np.log(MIDDLE / (1.0 - MIDDLE))))
    here = np.abs(np.log(MIDDLE / (1.0 - MIDDLE))) < 3.0
    assert np.abs(curve.chance[0] - expected)[here].max() < 0.05


def test_without_truths_a_score_is_taken_at_its_word() -> None:
    curve = curves(np.zeros((1, 2, SCORE_BINS), dtype=np.int64))

    assert np.array_equal(curve.chance[0], MIDDLE)
    assert curve.n[0] == 0


@given(ODD_TRUTHS)
def test_curves_are_ascending_chances_whatever_was_counted(counts: IntArray) -> None:
    curve = curves(counts[None])

    assert np.all((curve.chance >= 0) & (curve.chance <= 1))
    assert np.all(np.diff(curve.chance) >= 0)
    assert np.all((curve.noise > 0) & (curve.noise <= 0.25))
    assert np.all(np.diff(curve.block) >= 0)
