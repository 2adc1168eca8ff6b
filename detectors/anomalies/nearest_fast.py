"""Distances to the nearest earlier stretch in a compiled loop: the same as `nearest`, to the last
bit, sooner."""

from __future__ import annotations

import math

import numpy as np

from watchkeeper.detectors.anomalies.nearest import Values
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import FloatArray, IntArray

_BLOCK = 512  # places whose sums stay in the nearest cache


def nearest(
    values: Values, rows: IntArray, held: IntArray, windows: IntArray
) -> tuple[FloatArray, FloatArray]:
    """As `nearest.nearest`."""
    shapes, levels = (np.full((len(rows), len(windows)), np.nan) for _ in range(2))
    sums = np.empty((2, _BLOCK), dtype=np.float32)
    least = np.empty((2 * len(windows), _BLOCK), dtype=np.float32)
    _fill(values, rows, held, windows, sums, least, shapes, levels)
    return shapes, levels


def _example() -> tuple[Values | FloatArray | IntArray, ...]:
    some, number = np.zeros((1, 1)), np.ones(1, dtype=np.int64)
    room = np.zeros((2, _BLOCK), dtype=np.float32)
    return np.zeros((1, 2), dtype=np.float32), 0 * number, number, number, room, room, some, some


@kernel()
def _add(past: Values, value: np.float32, change: Values, square: Values) -> None:
    for j in range(len(past)):
        apart = past[j] - value
        change[j] += apart
        square[j] += apart * apart


@kernel()
def _lower(least: Values, found: Values) -> None:
    for j in range(len(least)):
        size, low = abs(found[j]), least[j]
        least[j] = size if size < low else low


@kernel(_example)
def _fill(
    values: Values,
    rows: IntArray,
    held: IntArray,
    windows: IntArray,
    sums: Values,
    least: Values,
    shapes: FloatArray,
    levels: FloatArray,
) -> None:
    """Fills the last two, which are NaN; `sums` and `least` are room to work in."""
    many = len(windows)
    for i in range(len(rows)):
        given, newest = values[rows[i]], held[i] - 1
        least[:] = np.float32(np.inf)
        for begin in range(0, newest, _BLOCK):
            size = min(_BLOCK, newest - begin)
            sums[:] = np.float32(0.0)
            at = 0
            for back in range(min(windows[-1], newest)):
                first, value = max(back - begin, 0), given[newest - back]
                if first < size:
                    # Slices: compilers make vectors of what is indexed from 0 on.
                    past = given[begin + first - back : begin + size - back]
                    _add(past, value, sums[0, first:size], sums[1, first:size])
                if back + 1 == windows[at]:
                    last = min(size, newest - back - begin)
                    if first < last:
                        _lower(least[at, first:last], sums[1, first:last])
                        _lower(least[many + at, first:last], sums[0, first:last])
                    at += 1
        for at in range(many):
            if newest >= 2 * windows[at] - 1:
                shape, level = np.float64(least[at, 0]), np.float64(least[many + at, 0])
                for j in range(1, _BLOCK):
                    shape = min(shape, np.float64(least[at, j]))
                    level = min(level, np.float64(least[many + at, j]))
                shapes[i, at] = math.sqrt(shape)
                levels[i, at] = level / windows[at]
