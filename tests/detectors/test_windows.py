from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.windows import (
    CONFIRMED,
    Watermark,
    arrived,
    first_open,
    window_index,
    window_of,
)

times = st.floats(-1e6, 4e9, allow_nan=False)
widths = st.sampled_from([0.1, 1.0, 7.3, 60.0, 3600.0])
lateness = st.sampled_from([0.0, 0.3, 10.0, 120.0])


@given(times, widths)
def test_the_window_of_a_time_holds_it(at: float, width: float) -> None:
    window = window_of(int(window_index(np.array([at]), width)[0]), width)

    assert window.start <= at < window.end


def test_windows_are_half_open() -> None:
    assert window_index(np.array([-0.1, 0.0, 59.9, 60.0]), 60.0).tolist() == [-1, 0, 0, 1]


def test_an_event_is_late_once_its_window_has_closed() -> None:
    at = np.array([59.0, 69.0, 1.0, 70.0, 1.0, 60.0])

    late, before, mark = arrived(at, Watermark(), 10.0, 60.0)

    assert late.tolist() == [False, False, False, False, True, False]
    assert before.tolist() == [-math.inf, 59.0, 69.0, 69.0, 70.0, 70.0]
    assert mark.newest == 70.0


def test_no_event_gives_no_verdict() -> None:
    late, _, mark = arrived(np.array([]), Watermark(5.0, 2, 900.0), 10.0, 60.0, leap=100.0)

    assert len(late) == 0
    assert mark == Watermark(5.0, 2, 900.0)


def test_one_event_far_ahead_does_not_move_the_watermark() -> None:
    at = np.array([10.0, 11.0, 80_000.0, 12.0, 13.0])

    late, _, mark = arrived(at, Watermark(), 10.0, 60.0, leap=70.0)

    assert not late.any()
    assert mark == Watermark(13.0)


def test_events_ahead_in_a_row_are_believed() -> None:
    after = [5_000.0 + i for i in range(CONFIRMED)]

    few = arrived(np.array([10.0, *after[:-1]]), Watermark(), 10.0, 60.0, leap=70.0)
    enough = arrived(np.array([10.0, *after]), Watermark(), 10.0, 60.0, leap=70.0)

    assert few.mark == Watermark(10.0, CONFIRMED - 1, 5_000.0)
    assert enough.mark == Watermark(5_000.0)


@given(
    st.lists(st.floats(0, 500), min_size=1, max_size=60),
    st.sets(st.integers(1, 59)),
    lateness,
    widths,
    st.sampled_from([1.0, 50.0, 200.0, math.inf]),
)
def test_lateness_does_not_depend_on_how_the_stream_is_cut(
    at: list[float], cuts: set[int], lateness: float, width: float, leap: float
) -> None:
    whole = arrived(np.array(at), Watermark(), lateness, width, leap)

    late, mark = [], Watermark()
    for batch in np.split(np.array(at), sorted(cuts)):
        found = arrived(batch, mark, lateness, width, leap)
        late += found.late.tolist()
        mark = found.mark

    assert late == whole.late.tolist()
    assert mark == whole.mark


@given(times, lateness, widths)
def test_the_first_open_window_is_the_first_whose_events_are_not_late(
    newest: float, lateness: float, width: float
) -> None:
    index = first_open(newest, lateness, width)

    # the smallest time of a window is its start, rounded the way that window_index undoes
    starts = np.array([window_of(index - 1, width).start, window_of(index, width).start])
    late = arrived(starts, Watermark(newest), lateness, width).late
    assert late.tolist() == [True, False]


@pytest.mark.parametrize("lateness", [0.0, 10.0])
def test_a_window_closes_exactly_when_the_newest_time_reaches_its_end_and_lateness(
    lateness: float,
) -> None:
    assert first_open(60.0 + lateness, lateness, 60.0) == 1
    assert first_open(math.nextafter(60.0 + lateness, 0.0), lateness, 60.0) == 0
