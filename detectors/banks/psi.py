"""Population stability indices of many histograms."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.banks.arithmetic import most
from watchkeeper.detectors.banks.columns import Columns, Counts
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import LevelBank, judged
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.histograms import LEAST, MOST
from watchkeeper.detectors.psi import Psi
from watchkeeper.detectors.scores import chi_square_limit

_AT_ONCE = 512  # histograms pooled at once: as much as the processor has at hand


class _Pooled(NamedTuple):
    """Histograms of a window and its reference, pooled and one behind the other.

    `which` are those that can be compared, `groups` how many bins each of them was pooled into.
    """

    which: IntArray
    groups: IntArray
    seen: FloatArray
    expected: FloatArray


class PsiBank(LevelBank):
    """`Psi` over many series."""

    def __init__(self, detector: Psi, columns: int) -> None:
        self._alpha, self._min_effect = detector.alpha, detector.min_effect
        super().__init__(detector, columns)

    def judge_enough(self, rows: IntArray, samples: Columns, enough: BoolArray) -> Judged:
        if samples.counts is None or samples.expected_counts is None:
            return Judged.nothing(enough)
        firing = self.firing(rows)
        index, limit = np.full(enough.shape, np.nan), np.full(enough.shape, np.nan)
        all_rows, all_columns = np.nonzero(enough)
        for first in range(0, len(all_rows), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            place = all_rows[part], all_columns[part]
            both = _pooled(samples.counts[place], samples.expected_counts[place])
            place = place[0][both.which], place[1][both.which]
            index[place], sizes = _indices(both)
            limit[place] = self._limits(both.groups, sizes, firing[place])
        sustained = self.sustained(rows, samples.start, enough & ~np.isnan(limit), index > limit)
        return judged(enough, sustained, statistic=index, threshold=limit)

    def _limits(self, groups: IntArray, sizes: FloatArray, firing: BoolArray) -> FloatArray:
        """What an index must pass: the smallest that matters, or what chance explains."""
        alphas = self._alpha, math.sqrt(self._alpha)
        chance = np.zeros(len(groups))
        for group in np.unique(groups).tolist():
            calm, high = (chi_square_limit(alpha, group - 1) for alpha in alphas)
            chance = np.where(groups == group, np.where(firing, high, calm), chance)
        return most(self.limit(self._min_effect, firing), sizes * chance)


def _indices(both: _Pooled) -> tuple[FloatArray, FloatArray]:
    """The index of each comparison, and the variance that the sizes of its samples bring in.

    Histograms of as many bins are added up together, in the order in which one alone would be.
    """
    index, sizes = np.empty(len(both.groups)), np.empty(len(both.groups))
    for group in np.unique(both.groups).tolist():
        which = both.groups == group
        chosen = np.repeat(which, both.groups)
        seen = both.seen[chosen].reshape(-1, group)
        expected = both.expected[chosen].reshape(-1, group)
        sizes[which] = 1.0 / seen.sum(axis=1) + 1.0 / expected.sum(axis=1)
        p, q = _shares(seen), _shares(expected)
        index[which] = ((p - q) * np.log(p / q)).sum(axis=1)
    return index, sizes


def _shares(counts: FloatArray) -> FloatArray:
    """With half an event more in every bin, so that none is empty."""
    more = counts + 0.5
    return np.asarray(more / more.sum(axis=1)[:, None])


def _pooled(counts: Counts, expected_counts: Counts) -> _Pooled:
    """Pools neighbouring bins until at least five events are expected in each."""
    seen, expected = _clean(counts), _clean(expected_counts)
    n, m = seen.sum(axis=1), expected.sum(axis=1)
    some = np.flatnonzero((n != 0.0) & (m != 0.0))
    seen, expected, n, m = seen[some], expected[some], n[some], m[some]
    starts = _starts((seen + expected) * (np.minimum(n, m) / (n + m))[:, None])
    groups = starts.sum(axis=1)
    enough = groups >= 2
    which, starts, groups = some[enough], starts[enough], groups[enough]
    flat = np.flatnonzero(starts)
    if not len(flat):
        return _Pooled(which, groups, np.empty(0), np.empty(0))
    seen, expected = seen[enough].ravel(), expected[enough].ravel()
    return _Pooled(which, groups, np.add.reduceat(seen, flat), np.add.reduceat(expected, flat))


def _starts(mass: FloatArray) -> BoolArray:
    """Where a pool of bins begins, for each row of masses."""
    starts = np.zeros(mass.shape, dtype=np.bool_)
    starts[:, 0] = True
    held = mass[:, 0].copy()
    last = np.zeros(len(mass), dtype=np.int64)
    for place in range(1, mass.shape[1]):
        begins = held >= LEAST
        starts[:, place] = begins
        last[begins] = place
        held = np.where(begins, 0.0, held) + mass[:, place]
    short = np.flatnonzero((held < LEAST) & (last > 0))
    starts[short, last[short]] = False
    return starts


def _clean(counts: Counts) -> FloatArray:
    return np.clip(counts.astype(np.float64), 0.0, MOST)
