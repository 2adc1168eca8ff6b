"""Pools histograms in compiled loops: the same as `pooling`, to the last bit, sooner."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.banks.columns import Counts
from watchkeeper.detectors.banks.pooling import Pooled, clean
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.histograms import LEAST

_LEAST = LEAST


def pooled(counts: Counts, expected_counts: Counts) -> Pooled:
    """As `pooling.pooled`."""
    seen, expected = clean(counts), clean(expected_counts)
    rows = len(seen)
    n, m, groups = np.empty(rows), np.empty(rows), np.empty(rows, dtype=np.int64)
    change, ratio = np.empty(seen.size), np.empty(seen.size)
    filled = _pool(seen, expected, n, m, groups, change, ratio)
    which = np.flatnonzero(groups)
    if len(which) < rows:
        n, m, groups = n[which], m[which], groups[which]
    return Pooled(which, n, m, groups, change[:filled], ratio[:filled])


def _example() -> tuple[FloatArray | IntArray, ...]:
    table, row = np.zeros((1, 1)), np.zeros(1)
    return table, table, row, row, np.zeros(1, dtype=np.int64), row, row


@kernel(_example)
def _pool(
    seen: FloatArray,
    expected: FloatArray,
    n: FloatArray,
    m: FloatArray,
    groups: IntArray,
    change: FloatArray,
    ratio: FloatArray,
) -> int:
    """Fills all but the first two; says how many bins there are in all."""
    at = 0
    for i in range(len(seen)):
        n[i], m[i], groups[i] = seen[i].sum(), expected[i].sum(), 0
        if n[i] == 0.0 or m[i] == 0.0:
            continue
        weight = min(n[i], m[i]) / (n[i] + m[i])
        end, held = at, 0.0
        change[end], ratio[end] = 0.0, 0.0  # hold the counts until all pools are known
        for j in range(seen.shape[1]):
            if held >= _LEAST:
                end, held = end + 1, 0.0
                change[end], ratio[end] = 0.0, 0.0
            held += (seen[i, j] + expected[i, j]) * weight
            change[end] += seen[i, j]
            ratio[end] += expected[i, j]
        if held < _LEAST and end > at:
            end -= 1
            change[end] += change[end + 1]
            ratio[end] += ratio[end + 1]
        count = end + 1 - at
        if count < 2:
            continue
        for k in range(at, end + 1):
            p = (change[k] + 0.5) / (n[i] + 0.5 * count)
            q = (ratio[k] + 0.5) / (m[i] + 0.5 * count)
            change[k], ratio[k] = p - q, p / q
        groups[i] = count
        at = end + 1
    return at
