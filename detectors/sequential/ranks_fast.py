"""Ranks of values among a series' own history in compiled loops: as `ranks`, to the last bit."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.sequential import layout, ranks
from watchkeeper.detectors.sequential.chance import Words

_SIDE, _GAPS, _EDGES = layout.SIDE, layout.GAPS, layout.EDGES
_WIDE = ranks.WIDE
_TOPS = _GAPS  # places in the words of a sketch
_COUNTS = 2 * (_GAPS + _SIDE)
_SUMS = _COUNTS + _GAPS
_TIES = 2 * (_SUMS + _SIDE)


@kernel()
def gap_of(edges: FloatArray, ties: Words, r: int, learned: int, x: float, tie: np.uint64) -> int:
    """As `ranks.gaps_of`, of one value."""
    if learned < _EDGES:
        low, high = 0, learned
        while low < high:
            middle = (low + high) // 2
            edge = edges[r, middle]
            if x > edge or (x == edge and tie >= ties[r, _TIES + middle]):
                low = middle + 1
            else:
                high = middle
        return low
    block, equal = 0, 0
    for j in range(_SIDE - 1):
        block += edges[r, _TOPS + j] < x
        equal += edges[r, _TOPS + j] == x
    if equal > 0:
        for j in range(_SIDE - 1):
            same = edges[r, _TOPS + j] == x
            block += same and tie >= ties[r, _TIES + j * _SIDE + _SIDE - 1]
    begin = block * _SIDE
    gap, equal = begin, 0
    for j in range(_SIDE - 1):
        gap += edges[r, begin + j] < x
        equal += edges[r, begin + j] == x
    if equal > 0:
        for j in range(_SIDE - 1):
            gap += edges[r, begin + j] == x and tie >= ties[r, _TIES + begin + j]
    return gap


@kernel()
def rank_of(counts: Words, r: int, learned: int, gap: int, lot: float) -> float:
    """As `ranks.ranks_of`, of one value."""
    if learned < _EDGES:
        return (np.float64(gap) + lot) / np.float64(learned + 1)
    block, below = gap // _SIDE, 0
    inside, begin = gap % _SIDE, _COUNTS + block * _SIDE
    for j in range(_SIDE):  # all of them, as that is sooner done than stopping
        below += int(counts[r, _SUMS + j]) * (j < block)
    for j in range(_SIDE):
        below += int(counts[r, begin + j]) * (j < inside)
    within = np.float64(counts[r, _COUNTS + gap])
    return (np.float64(below) + lot * within) / np.float64(learned + 1)


@kernel(apart=True)
def take(
    edges: FloatArray,
    counts: Words,
    ties: Words,
    r: int,
    learned: int,
    gap: int,
    x: float,
    tie: np.uint64,
) -> None:
    """As `ranks.learn`, of one value."""
    if learned >= _EDGES:
        counts[r, _COUNTS + gap] += np.uint32(1)
        counts[r, _SUMS + gap // _SIDE] += np.uint32(1)
        return
    for j in range(_GAPS - 1, gap, -1):
        edges[r, j], ties[r, _TIES + j] = edges[r, j - 1], ties[r, _TIES + j - 1]
    edges[r, gap], ties[r, _TIES + gap] = x, tie
    if learned == _EDGES - 1:
        for j in range(_GAPS):
            counts[r, _COUNTS + j] = 1
        for j in range(_SIDE):
            counts[r, _SUMS + j] = _SIDE
            edges[r, _TOPS + j] = edges[r, j * _SIDE + _SIDE - 1]


@kernel(apart=True)
def halve(counts: Words, r: int) -> int:
    """As `ranks.halve`, of one series."""
    total, widest = 0, 0
    for block in range(_SIDE):
        here = 0
        for j in range(block * _SIDE, (block + 1) * _SIDE):
            half = (int(counts[r, _COUNTS + j]) + 1) >> 1
            counts[r, _COUNTS + j] = half
            here += half
            widest = max(widest, half)
        counts[r, _SUMS + block] = here
        total += here
    return 0 if widest * _WIDE > total else total - 1


@kernel(apart=True)
def fetch(
    edges: FloatArray,
    counts: Words,
    rows: IntArray,
    values: FloatArray,
    begin: int,
    end: int,
    result: FloatArray,
) -> None:
    """Touches what the next series will need, so that memory answers for many at once. What it
    leaves in `result` is overwritten."""
    for i in range(begin, end):
        r = rows[i]
        result[i, 0] = edges[r, _TOPS] + edges[r, _TOPS + 8] + counts[r, _SUMS]
    for i in range(begin, end):
        r, x, block = rows[i], values[i, 0], 0
        for j in range(_SIDE - 1):
            block += edges[r, _TOPS + j] < x
        touched = edges[r, block * _SIDE] + edges[r, block * _SIDE + 8]
        result[i, 0] = touched + counts[r, _COUNTS + block * _SIDE]
