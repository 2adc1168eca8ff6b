"""Stretches of windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.estimation.delays import DELAYS
from watchkeeper.detectors.estimation.kinds import Binary
from watchkeeper.detectors.estimation.stretches import EARLY, Stretches
from watchkeeper.detectors.types import IntArray, StateError

KIND = Binary()


def truths(n: int) -> tuple[IntArray, IntArray]:
    known, delays = np.zeros((2, KIND.cells), dtype=np.int64), np.zeros(DELAYS, dtype=np.int64)
    known[1, 300], delays[5] = n, n
    return known, delays


def scores(n: int) -> IntArray:
    counts = np.zeros(KIND.cells, dtype=np.int64)
    counts[300] = n
    return counts


def filled(windows: int, each: int = 40, size: int = 100) -> Stretches:
    made = Stretches(KIND, size)
    for window in range(windows):
        made.scored(60.0 * window, 60.0 * window + 60.0, scores(each), each)
    return made


def test_windows_are_joined_until_there_are_enough_predictions() -> None:
    made = filled(7)

    assert [(each.start, each.end, each.n) for each in made.held] == [
        (0.0, 180.0, 120),
        (180.0, 360.0, 120),
        (360.0, 420.0, 40),
    ]
    assert len(made.full) == 2


def test_truths_go_to_the_stretch_of_their_window() -> None:
    made = filled(7)
    made.labelled(180.0, *truths(3))
    made.labelled(0.0, *truths(2))
    made.labelled(120.0, *truths(2))

    assert [int(each.truths.known.sum()) for each in made.held] == [4, 3, 0]


def test_truths_that_come_before_their_window_is_closed_wait_for_it() -> None:
    made = filled(1)
    made.labelled(60.0, *truths(5))
    waiting = int(made.held[0].truths.known.sum())
    made.scored(60.0, 120.0, scores(40), 40)

    assert waiting == 0
    assert int(made.held[0].truths.known.sum()) == 5


def test_truths_of_windows_that_are_gone_are_counted_as_lost() -> None:
    made = filled(7)
    made.drop(made.held[0])
    made.labelled(0.0, *truths(4))

    assert made.lost == 4


def test_what_waits_is_bounded() -> None:
    made = filled(1)
    for window in range(1, EARLY + 11):
        made.labelled(60.0 * window, *truths(1))

    assert made.lost == 10


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), max_size=20), st.randoms())
def test_the_order_of_truths_is_of_no_account(
    labels: list[tuple[int, int]], random: object
) -> None:
    one, other = filled(7), filled(7)
    for window, n in labels:
        one.labelled(60.0 * window, *truths(n))
    for window, n in sorted(labels):
        other.labelled(60.0 * window, *truths(n))

    assert one.dump() == other.dump()


def test_stretches_read_back_and_refuse_what_is_damaged() -> None:
    made, read = filled(7), Stretches(KIND, 100)
    made.labelled(0.0, *truths(3))
    made.labelled(600.0, *truths(3))
    read.load(made.dump())

    assert read.dump() == made.dump()
    for damaged in (b"", made.dump()[:-1], made.dump()[:8] + b"\xc0"):
        with pytest.raises(StateError):
            Stretches(KIND, 100).load(damaged)
    with pytest.raises(StateError, match="layout"):
        Stretches(KIND, 99).load(made.dump())
