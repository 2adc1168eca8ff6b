"""When truths come."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.estimation.delays import DELAYS, UPPER, Delays, delay_counts
from watchkeeper.detectors.types import StateError

WINDOWS = st.lists(
    st.tuples(st.integers(0, 200), st.lists(st.floats(0, 1e9), max_size=50), st.floats(0, 1e9)),
    max_size=6,
)


def test_young_windows_do_not_make_labels_look_quicker() -> None:
    random, table = np.random.default_rng(1), Delays()
    for age in np.linspace(10, 3_000, 300):
        delays = random.exponential(500.0, 1_000)
        table.aged(1_000, delay_counts(delays[delays <= age]), 0.0, float(age))

    for age in (100.0, 500.0, 1_500.0):
        assert table.coverage(age) == pytest.approx(1 - math.exp(-age / 500), abs=0.02)
    assert table.when(0.5) == pytest.approx(500 * math.log(2), rel=0.05)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.5, 3.0, 90.0, 1e4]), st.floats(0, 1e5) | st.just(math.nan)),
        max_size=40,
    )
)
def test_single_predictions_make_the_table_of_their_cohorts(
    rows: list[tuple[float, float]],
) -> None:
    known = [(age, delay if delay <= age else math.nan) for age, delay in rows]
    cohorts = Delays()
    for age in {age for age, _ in known}:
        came = np.array([delay for each, delay in known if each == age])
        cohorts.aged(len(came), delay_counts(came), 0.0, age)

    table = Delays.of(*np.array(known).reshape(-1, 2).T)

    assert table.dump() == cohorts.dump()


def test_labels_that_never_come_are_not_waited_for() -> None:
    table = Delays()
    table.aged(1_000, delay_counts(np.full(600, 50.0)), 0.0, 1e6)

    assert table.coverage(1e5) == pytest.approx(0.6)
    assert table.when(0.7) == math.inf
    assert table.outstanding(200.0, 1e5) == 0.0
    assert table.outstanding(10.0, 1e5) == pytest.approx(0.6)
    assert 50.0 <= table.last(1_000, 1e5) < 100.0


def test_what_nothing_is_old_enough_to_show_may_still_come() -> None:
    table = Delays()
    table.aged(1_000, delay_counts(np.full(600, 50.0)), 0.0, 100.0)

    assert table.outstanding(100.0, 1e5) == 1.0
    assert table.outstanding(1e5, 1e5) == 0.0
    assert table.last(1_000, 1e5) == 1e5


def test_odd_delays_are_counted_somewhere_or_left_out() -> None:
    counts = delay_counts(np.array([-5.0, 0.0, 1e300, math.inf, math.nan]))

    assert counts[0] == 2
    assert counts[-1] == 2
    assert counts.sum() == 4


@given(WINDOWS, st.integers(1, 5))
def test_neither_order_nor_steps_are_of_account(
    windows: list[tuple[int, list[float], float]], steps: int
) -> None:
    one, other = Delays(), Delays()
    for n, delays, age in windows:
        one.aged(n, delay_counts(np.array(delays)), 0.0, age)
    for n, delays, age in reversed(windows):
        ages = np.linspace(0.0, age, steps + 1)
        for before, now in pairwise(ages.tolist()):
            other.aged(n, delay_counts(np.array(delays)), before, now)

    assert np.array_equal(one.risk, other.risk)
    assert np.array_equal(one.came, other.came)


@given(WINDOWS, st.floats(0, 1e10), st.floats(0, 1e10), st.floats(0, 1))
def test_answers_are_shares_and_ages(
    windows: list[tuple[int, list[float], float]], age: float, horizon: float, share: float
) -> None:
    table = Delays()
    for n, delays, now in windows:
        table.aged(n, delay_counts(np.array(delays)), 0.0, now)

    assert 0.0 <= table.coverage(age) <= 1.0
    assert 0.0 <= table.outstanding(age, horizon) <= 1.0
    assert table.when(share) >= 0.0
    assert 0.0 <= table.last(1_000, horizon) <= horizon
    if table.when(share) < math.inf:
        assert table.coverage(table.when(share)) >= share - 1e-9


def test_the_table_reads_back_and_refuses_what_is_damaged() -> None:
    table, read = Delays(), Delays()
    table.aged(100, delay_counts(np.full(60, 50.0)), 0.0, 1e3)
    read.load(table.dump())

    assert np.array_equal(read.risk, table.risk)
    assert np.array_equal(read.came, table.came)
    assert len(UPPER) == DELAYS
    with pytest.raises(StateError):
        read.load(table.dump()[:-1])
    with pytest.raises(StateError):
        read.load(table.dump()[::-1])
