"""Columns come back to the last bit, in no more bytes than that takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.daemon.storage.examples import T0
from watchkeeper.daemon.storage import columns
from watchkeeper.detectors.types import FloatArray


def back(column: FloatArray) -> FloatArray:
    return columns.read_reals(columns.times(column), len(column))


@given(hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(width=64)))
@example(np.array([np.nan]))
@example(np.array([np.nan, T0]))
@example(np.array([T0, np.nan]))
def test_any_times_come_back_exactly(at: FloatArray) -> None:
    came, known = back(at), ~np.isnan(at)

    np.testing.assert_array_equal(~np.isnan(came), known)  # there are many kinds of NaN
    np.testing.assert_array_equal(came.view(np.int64)[known], at.view(np.int64)[known])


@pytest.mark.parametrize("spread_s", [0.0, 1.0, 500.0])
def test_times_near_each_other_take_four_bytes(spread_s: float) -> None:
    at = T0 + np.random.default_rng(1).uniform(0.0, spread_s, 1_000).round(6)

    stored = columns.times(at)

    assert len(stored.data) == 4 * len(at)
    assert back(at).tolist() == at.tolist()


def test_times_far_from_each_other_are_stored_as_they_are() -> None:
    at = T0 + np.array([0.0, -600.0, 86_400.0])

    assert len(columns.times(at).data) == 8 * len(at)
    assert back(at).tolist() == at.tolist()


def test_what_is_not_given_takes_no_room() -> None:
    assert columns.times(np.full(9, np.nan)).data == b""
    assert columns.numbers(np.full(9, np.nan)).data == b""
    assert columns.numbers(np.zeros(9, dtype=np.int64)).data == b""
    assert columns.bits(np.ones(9, dtype=np.bool_)).data == b""


@pytest.mark.parametrize("form", ["O", "steps<f8", "nonsense", "<i4", "decimals<i8", "decimals<f8"])
def test_another_form_is_no_column_of_real_numbers(form: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        columns.read_reals(columns.Column(form, bytes(8), base=10), 1)
