"""Expected errors of a regressor."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.estimation.regression import Regression, error_sums
from watchkeeper.detectors.types import FloatArray, IntArray

EDGES = np.linspace(-2, 2, 15)
KIND = Regression(len(EDGES) + 1, 3.0)


def drawn(seed: int, n: int, centre: float = 0.0) -> tuple[IntArray, FloatArray]:
    """Cells of predictions and their errors, which are larger where predictions are."""
    random = np.random.default_rng(seed)
    predicted = random.normal(centre, 1.0, n)
    errors = random.normal(0, 1.0, n) * np.exp(0.5 * predicted)
    return np.searchsorted(EDGES, predicted, side="right"), errors


def known(seed: int, n: int, centre: float = 0.0) -> IntArray:
    return error_sums(*drawn(seed, n, centre), KIND.cells, KIND.scale)


def test_errors_follow_where_predictions_lie() -> None:
    lesson, none = KIND.lesson(known(1, 60_000)), np.zeros((1, KIND.cells))
    later = known(2, 5_000, centre=1.0)[None]

    guess = lesson.restated(np.zeros_like(later), KIND.told(later), none)
    truth = lesson.restated(later, np.zeros_like(KIND.told(later)), none)
    usual = lesson.restated(known(3, 5_000)[None], np.zeros((1, KIND.cells)), none)

    assert np.all(truth.value > 1.3 * usual.value)
    assert np.all(np.abs(truth.value - guess.value) < 0.1 * truth.value)


def test_truths_fall_into_the_band() -> None:
    lesson = KIND.lesson(known(1, 60_000))
    later = np.stack([known(10 + i, 1_000) for i in range(200)])
    none = np.zeros((200, KIND.cells))

    guess = lesson.restated(np.zeros_like(later), KIND.told(later), none)
    truth = lesson.restated(later, np.zeros_like(KIND.told(later)), none)

    inside = (np.abs(truth.value - guess.value) <= 1.96 * guess.error).mean(axis=0)
    assert np.all(inside > 0.9)


def test_errors_far_beyond_the_scale_are_summed_as_they_are() -> None:
    cells, errors = drawn(5, 2_000)
    sums = error_sums(cells, 500.0 * errors, KIND.cells, KIND.scale)
    lesson, none = KIND.lesson(sums), np.zeros((1, KIND.cells))

    found = lesson.restated(np.zeros((1, *sums.shape)), KIND.told(sums[None]), none)
    usual = KIND.lesson(known(5, 2_000)).restated(
        np.zeros((1, *sums.shape)), KIND.told(sums[None]), none
    )

    np.testing.assert_allclose(found.value, 500.0 * usual.value, rtol=1e-3)
    np.testing.assert_allclose(found.error, 500.0 * usual.error, rtol=1e-2)


def test_realised_errors_are_those_of_the_rows() -> None:
    cells, errors = drawn(5, 2_000)
    sums = error_sums(cells, errors, KIND.cells, KIND.scale)[None]
    none = np.zeros((1, KIND.cells))

    found = KIND.lesson(sums[0]).restated(sums, none, none).value[0]

    assert np.isclose(found[0], np.abs(errors).mean(), rtol=1e-4)
    assert np.isclose(found[1], np.sqrt((errors**2).mean()), rtol=1e-4)


@given(st.lists(st.tuples(st.integers(-2, 9), st.floats()), max_size=30), st.floats())
def test_odd_errors_are_bounded_or_left_out(pairs: list[tuple[int, float]], scale: float) -> None:
    cells = np.array([cell for cell, _ in pairs], dtype=np.int64)
    errors = np.array([error for _, error in pairs], dtype=np.float64)

    sums = error_sums(cells, errors, 8, scale)

    assert np.all(sums >= 0)
    assert sums[0].sum() <= len(pairs)


@given(st.integers(0, 100), st.integers(0, 40))
def test_sums_add_up_in_any_parts(seed: int, cut: int) -> None:
    cells, errors = drawn(seed, 40)

    whole = error_sums(cells, errors, KIND.cells, KIND.scale)
    parts = [error_sums(cells[p], errors[p], KIND.cells, KIND.scale) for p in _parts(cut)]

    assert np.array_equal(parts[0] + parts[1], whole)


def _parts(cut: int) -> tuple[slice, slice]:
    return slice(cut, None), slice(cut)
