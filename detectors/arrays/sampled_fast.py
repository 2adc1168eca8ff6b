"""Quantiles and stability indices of closed windows in compiled loops, to the last bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.banks.psi_fast import WIDEST, total
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import FloatArray, IntArray

Table = npt.NDArray[Any]

__all__ = ["WIDEST", "quantiles", "stability"]


def quantiles(
    buckets: Table, middles: FloatArray, shares: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """As `sampled_serving._quantiles`; `middles` are the values that buckets stand for."""
    rows, wanted = len(buckets), len(shares)
    n = np.empty((rows, 1), dtype=np.int64)
    value, spread = np.empty((rows, wanted)), np.empty((rows, wanted))
    counts = np.array(buckets, np.int64, order="C")
    _quantiles.compiled(counts, middles, shares, n, value, spread, np.empty((2, wanted, 3)))
    return n, value, spread


def _example_of_quantiles() -> tuple[Any, ...]:
    whole, table, line = np.zeros((1, 1), dtype=np.int64), np.zeros((1, 1)), np.zeros(1)
    return whole, line, line, whole, table, table, np.zeros((2, 1, 3))


@kernel(_example_of_quantiles)
def _quantiles(
    counts: Table,
    middles: Table,
    shares: Table,
    n: Table,
    value: Table,
    spread: Table,
    room: Table,
) -> None:
    """Fills the last but one; `room` has ranks, and the values found at them."""
    for i in range(len(counts)):
        n[i, 0] = quantiles_of(counts[i], middles, shares, room, value[i], spread[i])


@kernel()
def quantiles_of(
    counts: Table, middles: Table, shares: Table, room: Table, value: Table, spread: Table
) -> int:
    """The same of one window; gives how many there are."""
    many = counts.sum()
    for q in range(len(shares)):
        rank = shares[q] * (many - 1)
        step = math.sqrt(many * shares[q] * (1 - shares[q]))
        room[0, q, 0], room[0, q, 1], room[0, q, 2] = rank, rank - step, rank + step
        for k in range(3):
            inside = max(math.floor(room[0, q, k]), 0.0)
            room[0, q, k] = min(inside, max(many - 1, 0))
            room[1, q, k] = math.nan
    reached = 0
    for b in range(len(counts)):
        if counts[b] == 0:
            continue
        reached += counts[b]
        for q in range(len(shares)):
            for k in range(3):
                if math.isnan(room[1, q, k]) and reached > room[0, q, k]:
                    room[1, q, k] = middles[b]
    for q in range(len(shares)):
        value[q] = room[1, q, 0]
        spread[q] = room[1, q, 2] - room[1, q, 1]
    return int(many)


def stability(
    counts: Table, expected_counts: Table
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """As `rates._stability`, of histograms of up to `WIDEST` bins."""
    shape = counts.shape[:2]
    here, there = (np.array(each, np.float64, order="C") for each in (counts, expected_counts))
    n, of = np.empty(shape), np.empty(shape)
    bins = np.empty(shape, dtype=np.int64)
    change, ratio = np.empty(here.size), np.empty(here.size)
    filled = _shares.compiled(here, there, n, of, bins, change, ratio)
    terms = change[:filled] * np.log(ratio[:filled])
    value, stderr, expected = np.empty(shape), np.empty(shape), np.empty(shape)
    _indices.compiled(terms, n, of, bins, value, stderr, expected)
    return n.astype(np.int64), value, stderr, expected


def _example_of_shares() -> tuple[Any, ...]:
    counts, table, line = np.zeros((1, 1, 1)), np.zeros((1, 1)), np.zeros(1)
    return counts, counts, table, table, np.zeros((1, 1), dtype=np.int64), line, line


@kernel(_example_of_shares)
def _shares(
    counts: Table,
    usual: Table,
    n: Table,
    of: Table,
    bins: Table,
    change: Table,
    ratio: Table,
) -> int:
    """Fills all but the first two; says how many bins are in use in all."""
    at = 0
    for i in range(counts.shape[0]):
        for j in range(counts.shape[1]):
            found = terms_of(counts[i, j], usual[i, j], change, ratio, at)
            bins[i, j], n[i, j], of[i, j], at = found
    return at


@kernel()
def terms_of(
    counts: Table, usual: Table, change: Table, ratio: Table, at: int
) -> tuple[int, float, float, int]:
    """What the terms of one index are made of, from `at` on; gives how many bins are in use, how
    many events there are here and there, and where the terms end."""
    many = known = 0.0
    used = 0
    for b in range(len(counts)):
        many += counts[b]
        known += usual[b]
        used += counts[b] > 0 or usual[b] > 0
    for b in range(len(counts)):
        if counts[b] > 0 or usual[b] > 0:
            p = (counts[b] + 0.5) / (many + 0.5 * used)
            q = (usual[b] + 0.5) / (known + 0.5 * used)
            change[at], ratio[at] = p - q, p / q
            at += 1
    return used, many, known, at


def _example_of_indices() -> tuple[Any, ...]:
    table = np.zeros((1, 1))
    return np.zeros(1), table, table, np.zeros((1, 1), dtype=np.int64), table, table, table


@kernel(_example_of_indices)
def _indices(
    terms: Table,
    n: Table,
    of: Table,
    bins: Table,
    value: Table,
    stderr: Table,
    expected: Table,
) -> None:
    """Fills the last three."""
    at = 0
    for i in range(n.shape[0]):
        for j in range(n.shape[1]):
            found = index_of(terms, at, bins[i, j], n[i, j], of[i, j])
            value[i, j], stderr[i, j], expected[i, j] = found
            at += bins[i, j]


@kernel()
def index_of(terms: Table, at: int, bins: int, n: float, of: float) -> tuple[float, float, float]:
    """The index of so many terms, its error, and what is expected of it."""
    unit = 1 / n + 1 / of
    free = bins - 1
    error = math.sqrt(2 * free) * unit if free >= 0 else math.nan
    return total(terms, at, bins), math.nan if error == 0.0 else error, free * unit
