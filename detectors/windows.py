"""Event-time windows: which window an event falls into, when a window closes, and who is late.

A window [start, end) closes when the newest event time seen reaches `end + lateness`. Everything
here depends on the order of arrival alone, never on how the stream is cut into batches.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray, Window


class Arrived(NamedTuple):
    """Which of the events came too late, and the newest event time after them."""

    late: BoolArray
    newest: float


def window_index(at: FloatArray, width: float) -> IntArray:
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


def arrived(at: FloatArray, newest: float, lateness: float, width: float) -> Arrived:
    """Marks the events whose window had closed when they came.

    `at` is in order of arrival over all kinds of events of one model; `newest` is the newest time
    before them, -inf at the very beginning.
    """
    reached = np.maximum.accumulate(np.concatenate(([newest], at)))
    end = (window_index(at, width) + 1.0) * width
    return Arrived(late=reached[:-1] >= end + lateness, newest=float(reached[-1]))


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
