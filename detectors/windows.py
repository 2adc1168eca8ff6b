"""Event-time windows: which window an event falls into, when a window closes, and who is late.

A window [start, end) closes when the newest event time seen reaches `end + lateness`. Everything
here depends on the order of arrival alone, never on how the stream is cut into batches.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np

from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray, Window

CONFIRMED = 5  # events in a row that are far ahead before they are believed


class Arrived(NamedTuple):
    """Which of the events came too late, the newest event time before each of them, and the
    watermark after them."""

    late: BoolArray
    before: FloatArray
    mark: Watermark


class Watermark(msgspec.Struct, frozen=True):
    """How far event time has come. `newest` is -inf before the first event.

    An event that is further ahead than it may leap does not move it: its clock may be wrong. When
    `CONFIRMED` events in a row are ahead, a gap in the stream is over, and it moves to the least
    of them. `ahead` counts them, `least` is their least time.
    """

    newest: float = float("-inf")
    ahead: int = 0
    least: float = float("inf")


def window_index(at: FloatArray, width: float | FloatArray) -> IntArray:
    """The number of the window each time falls into; `window_of` gives the window itself."""
    index = np.floor(at / width)
    index += at >= (index + 1.0) * width
    index -= at < index * width
    return index.astype(np.int64)


def window_of(index: int, width: float) -> Window:
    """The window of one number.

    >>> window_of(2, 60.0)
    Window(start=120.0, end=180.0)
    """
    return Window(index * width, (index + 1) * width)


def arrived(
    at: FloatArray, mark: Watermark, lateness: float, width: float, leap: float = float("inf")
) -> Arrived:
    """Marks the events whose window had closed when they came.

    `at` is in order of arrival over all kinds of events of one model; `leap` is the furthest ahead
    that a single event may move the watermark, in seconds.
    """
    reached = np.maximum.accumulate(np.concatenate(([mark.newest], at)))
    before = reached[:-1]
    known = np.isfinite(before)
    if len(at) and bool((at[known] <= before[known] + leap).all()):
        mark = Watermark(float(reached[-1]))
    else:
        before, mark = _one_by_one(at, mark, leap)
    end = (window_index(at, width) + 1.0) * width
    return Arrived(before >= end + lateness, before, mark)


def _one_by_one(at: FloatArray, mark: Watermark, leap: float) -> tuple[FloatArray, Watermark]:
    """The same where some event is far ahead; such batches are rare."""
    newest, ahead, least = mark.newest, mark.ahead, mark.least
    before = np.empty(len(at), dtype=np.float64)
    for i, time in enumerate(at.tolist()):
        before[i] = newest
        if time <= newest + leap or newest == float("-inf"):
            newest, ahead, least = max(newest, time), 0, float("inf")
            continue
        ahead, least = ahead + 1, min(least, time)
        if ahead >= CONFIRMED:
            newest, ahead, least = least, 0, float("inf")
    return before, Watermark(newest, ahead, least)


def first_open(newest: float, lateness: float, width: float) -> int:
    """The number of the first window that is still open; all before it have closed.

    `newest` must be finite: with no event seen there is no first window.
    """
    index = math.floor((newest - lateness) / width)
    while index * width + lateness > newest:
        index -= 1
    while (index + 1) * width + lateness <= newest:
        index += 1
    return index
