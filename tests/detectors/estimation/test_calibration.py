"""What a score is worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detectors.estimation.made import ODD_TRUTHS, TRUTHS, drawn
from watchkeeper.detectors.estimation.bins import MIDDLE, truth_counts
from watchkeeper.detectors.estimation.calibration import Calibrations, curves
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.types import IntArray, StateError

ROW = np.array([0])


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


@given(TRUTHS, TRUTHS, TRUTHS)
def test_counts_add_up_in_any_order(a: IntArray, b: IntArray, c: IntArray) -> None:
    one, other, third = Calibrations(), Calibrations(), Calibrations()
    for each in (a, b, c):
        one.add(ROW, each[None])
    other.add(ROW, c[None])
    third.add(ROW, (a + b)[None])
    other.merge(third)

    assert np.array_equal(one.counts[0], other.counts[0])


def test_counts_stop_at_the_largest_number() -> None:
    many = Calibrations()
    for _ in range(3):
        many.add(ROW, np.full((1, 2, SCORE_BINS), 2**30))

    assert many.counts[0].min() == 2**31 - 1


@given(TRUTHS, st.integers(0, 5))
def test_a_row_reads_back_as_it_was_written(counts: IntArray, row: int) -> None:
    kept, read = Calibrations(), Calibrations()
    kept.add(np.array([row]), counts[None])
    read.load(3, kept.dump(row))

    assert np.array_equal(read.counts[3], counts)


@given(st.binary(max_size=200))
def test_damaged_state_is_refused(stored: bytes) -> None:
    with pytest.raises(StateError):
        Calibrations().load(0, stored)


def test_cut_state_is_refused() -> None:
    known = Calibrations()
    known.add(ROW, truth_counts(*drawn(1, 100))[None])

    with pytest.raises(StateError, match="size"):
        known.load(0, known.dump(0)[:-1])


def test_a_cleared_row_is_empty() -> None:
    known = Calibrations()
    known.add(np.array([0, 1]), np.ones((2, 2, SCORE_BINS), dtype=np.int64))
    known.clear(np.array([0, 9]))

    assert known.curves(np.array([0, 1])).n.tolist() == [0, 2 * SCORE_BINS]
