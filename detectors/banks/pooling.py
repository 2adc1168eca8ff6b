"""Pools neighbouring bins of many histograms and compares them with their references."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.banks.columns import Counts
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.histograms import LEAST, MOST


class Pooled(NamedTuple):
    """Histograms of windows against their references, pooled, one behind the other.

    `which` are those that can be compared, `n` and `m` the events in each and in its reference;
    `groups` says how many bins it was pooled into. `change` and `ratio` are the difference and
    the quotient of the shares of each bin.
    """

    which: IntArray
    n: FloatArray
    m: FloatArray
    groups: IntArray
    change: FloatArray
    ratio: FloatArray

    @property
    def sizes(self) -> FloatArray:
        """The variance that two samples of such sizes bring in."""
        return np.asarray(1.0 / self.n + 1.0 / self.m)

    def indices(self) -> FloatArray:
        """The population stability index of each comparison.

        Histograms of as many bins are added up together, in the order in which one alone is.
        """
        terms = self.change * np.log(self.ratio)
        index = np.empty(len(self.groups))
        for group in np.flatnonzero(np.bincount(self.groups)).tolist():
            which = self.groups == group
            chosen = terms[np.repeat(which, self.groups)]
            index[which] = chosen.reshape(-1, group).sum(axis=1)
        return index


def pooled(counts: Counts, expected_counts: Counts) -> Pooled:
    """Pools neighbouring bins until at least five events are expected in each."""
    seen, expected = clean(counts), clean(expected_counts)
    n, m = np.einsum("ij->i", seen), np.einsum("ij->i", expected)
    mass = (seen + expected) * (np.minimum(n, m) / np.maximum(n + m, 1.0))[:, None]
    starts = _starts(np.ascontiguousarray(mass.T))
    groups = np.count_nonzero(starts, axis=0)
    enough = (groups >= 2) & (n != 0.0) & (m != 0.0)
    which = np.flatnonzero(enough)
    if not len(which):
        return Pooled(which, n[which], m[which], groups[which], np.empty(0), np.empty(0))
    if len(which) < len(n):
        seen, expected, starts = seen[which], expected[which], starts[:, which]
        n, m, groups = n[which], m[which], groups[which]
    flat = np.flatnonzero(starts.T)
    p = _shares(np.add.reduceat(seen.reshape(-1), flat), n, groups)
    q = _shares(np.add.reduceat(expected.reshape(-1), flat), m, groups)
    return Pooled(which, n, m, groups, p - q, p / q)


def _shares(counts: FloatArray, n: FloatArray, groups: IntArray) -> FloatArray:
    """With half an event more in every bin, so that none is empty."""
    return np.asarray((counts + 0.5) / np.repeat(n + 0.5 * groups, groups))


def _starts(mass: FloatArray) -> BoolArray:
    """Where a pool of bins begins; the bins are the first axis."""
    starts = np.zeros(mass.shape, dtype=np.bool_)
    starts[0] = True
    held = mass[0].copy()
    for place in range(1, len(mass)):
        starts[place] = held >= LEAST
        held *= held < LEAST
        held += mass[place]
    last = len(mass) - 1 - np.argmax(starts[::-1], axis=0)
    short = np.flatnonzero((held < LEAST) & (last > 0))
    starts[last[short], short] = False
    return starts


def clean(counts: Counts) -> FloatArray:
    """Counts as numbers, none of them negative or too large to be added up."""
    numbers = counts.astype(np.float64)
    odd = counts.min(initial=0) < 0 or counts.max(initial=0) > MOST
    return np.clip(numbers, 0.0, MOST) if odd else numbers
