"""Distances to the nearest earlier stretch: the definition, and the compiled form of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiled import needs_kernels
from tests.examples import examples
from watchkeeper.detectors.anomalies.nearest import Values, nearest
from watchkeeper.detectors.frames import IntArray

WINDOWS: IntArray = np.array([1, 4, 16])
ROW: IntArray = np.zeros(1, dtype=np.int64)


def one(values: Values) -> tuple[list[float], list[float]]:
    shapes, levels = nearest(values[None], ROW, np.array([len(values)]), WINDOWS)
    return shapes[0].tolist(), levels[0].tolist()


def defined(values: Values, window: int) -> tuple[float, float]:
    """The distances by comparing with every earlier stretch."""
    x = values.astype(np.float64)
    newest = x[len(x) - window :]
    earlier = [x[i : i + window] for i in range(len(x) - 2 * window + 1)]
    if not earlier:
        return np.nan, np.nan
    shape = min(float(np.sqrt(((newest - each) ** 2).sum())) for each in earlier)
    return shape, min(abs(float(newest.mean() - each.mean())) for each in earlier)


@given(seed=st.integers(0, 2**32 - 1), length=st.integers(1, 90))
@settings(deadline=None, max_examples=examples(40))
def test_it_is_the_distance_to_the_nearest_stretch_before(seed: int, length: int) -> None:
    values = np.random.default_rng(seed).normal(size=length).astype(np.float32)

    shapes, levels = one(values)

    for at, window in enumerate(WINDOWS.tolist()):
        expected = defined(values, window)
        np.testing.assert_allclose([shapes[at], levels[at]], expected, rtol=1e-4, atol=1e-5)


def test_what_came_back_is_no_distance_away() -> None:
    values = np.tile(np.arange(20, dtype=np.float32) ** 2, 3)

    shapes, levels = one(values)

    assert shapes == [0.0, 0.0, 0.0]
    assert levels == [0.0, 0.0, 0.0]


def test_one_value_has_nothing_before_it() -> None:
    shapes, levels = one(np.ones(1, dtype=np.float32))

    assert np.isnan(shapes).all()
    assert np.isnan(levels).all()


@needs_kernels
@pytest.mark.parametrize("held", [1, 2, 3, 31, 32, 33, 511, 512, 513, 530, 1025, 1600])
def test_the_compiled_form_is_the_same_to_the_last_bit(held: int) -> None:
    from watchkeeper.detectors.anomalies import nearest_fast

    random = np.random.default_rng(held)
    values = random.normal(size=(4, 1600)).cumsum(axis=1).astype(np.float32)
    values[1], values[2], values[3] = np.round(values[1]), 0.0, values[3] * np.float32(1e14)
    rows, counts = np.array([2, 0, 3, 1]), np.array([held, held, max(held - 1, 1), held])

    plain = nearest(values, rows, counts, WINDOWS)
    compiled = nearest_fast.nearest(values, rows, counts, WINDOWS)

    np.testing.assert_array_equal(plain[0], compiled[0])
    np.testing.assert_array_equal(plain[1], compiled[1])
