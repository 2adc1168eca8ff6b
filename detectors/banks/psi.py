"""Population stability indices of many histograms."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.banks.arithmetic import most
from watchkeeper.detectors.banks.bank import State
from watchkeeper.detectors.banks.columns import Columns, Counts
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import LevelBank, judged
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.histograms import LEAST, MOST
from watchkeeper.detectors.psi import Psi
from watchkeeper.detectors.scores import chi_square_limit

_AT_ONCE = 2_048  # histograms pooled at once: as much as the processor has at hand


class _Pooled(NamedTuple):
    """Histograms of windows and their references, pooled, one behind the other.

    `which` are those that can be compared, `n` and `m` the events in each and in its reference;
    `groups` says how many bins it was pooled into.
    """

    which: IntArray
    n: FloatArray
    m: FloatArray
    groups: IntArray
    seen: FloatArray
    expected: FloatArray

    @property
    def sizes(self) -> FloatArray:
        """The variance that two samples of such sizes bring in."""
        return np.asarray(1.0 / self.n + 1.0 / self.m)

    def indices(self) -> FloatArray:
        """The population stability index of each comparison.

        Histograms of as many bins are added up together, in the order in which one alone is.
        """
        p, q = self._shares(self.seen, self.n), self._shares(self.expected, self.m)
        terms = (p - q) * np.log(p / q)
        index = np.empty(len(self.groups))
        for group in np.flatnonzero(np.bincount(self.groups)).tolist():
            which = self.groups == group
            chosen = terms[np.repeat(which, self.groups)]
            index[which] = chosen.reshape(-1, group).sum(axis=1)
        return index

    def _shares(self, counts: FloatArray, n: FloatArray) -> FloatArray:
        """With half an event more in every bin, so that none is empty."""
        return np.asarray((counts + 0.5) / np.repeat(n + 0.5 * self.groups, self.groups))


class PsiBank(LevelBank):
    """`Psi` over many series."""

    def __init__(self, detector: Psi, columns: int) -> None:
        self._alpha, self._min_effect = detector.alpha, detector.min_effect
        super().__init__(detector, columns)

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        if samples.counts is None or samples.expected_counts is None:
            return Judged.nothing(enough)
        firing = self.firing(held)
        index, limit = np.full(enough.shape, np.nan), np.full(enough.shape, np.nan)
        step = max(1, _AT_ONCE // max(1, self.columns))
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            place = np.flatnonzero(enough[part])
            counts = _chosen(samples.counts[part], place)
            both = _pooled(counts, _chosen(samples.expected_counts[part], place))
            place = place[both.which]
            index[part].reshape(-1)[place] = both.indices()
            limits = self._limits(both, firing[part].reshape(-1)[place])
            limit[part].reshape(-1)[place] = limits
        sustained = self.sustained(held, samples.start, enough & ~np.isnan(limit), index > limit)
        return judged(enough, sustained, statistic=index, threshold=limit)

    def _limits(self, both: _Pooled, firing: BoolArray) -> FloatArray:
        """What an index must pass: the smallest that matters, or what chance explains."""
        groups = np.flatnonzero(np.bincount(both.groups))
        chances = np.zeros((2, int(groups.max(initial=0)) + 1))
        for row, alpha in enumerate((self._alpha, math.sqrt(self._alpha))):
            chances[row, groups] = [chi_square_limit(alpha, g - 1) for g in groups.tolist()]
        chance = both.sizes * chances[firing.astype(np.int64), both.groups]
        return most(self.limit(self._min_effect, firing), chance)


def _chosen(counts: Counts, place: IntArray) -> Counts:
    """The histograms at these places of (R, C), one a row."""
    flat = counts.reshape(-1, counts.shape[2])
    return flat if len(place) == len(flat) else flat[place]


def _pooled(counts: Counts, expected_counts: Counts) -> _Pooled:
    """Pools neighbouring bins until at least five events are expected in each."""
    seen, expected = _clean(counts), _clean(expected_counts)
    n, m = np.einsum("ij->i", seen), np.einsum("ij->i", expected)
    mass = (seen + expected) * (np.minimum(n, m) / (n + m))[:, None]
    starts = _starts(np.ascontiguousarray(mass.T))
    groups = np.count_nonzero(starts, axis=0)
    enough = (groups >= 2) & (n != 0.0) & (m != 0.0)
    which = np.flatnonzero(enough)
    if not len(which):
        return _Pooled(which, n[which], m[which], groups[which], np.empty(0), np.empty(0))
    if len(which) < len(n):
        seen, expected, starts = seen[which], expected[which], starts[:, which]
    flat = np.flatnonzero(starts.T)
    pools = (np.add.reduceat(each.reshape(-1), flat) for each in (seen, expected))
    return _Pooled(which, n[which], m[which], groups[which], *pools)


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


def _clean(counts: Counts) -> FloatArray:
    numbers = counts.astype(np.float64)
    odd = counts.min(initial=0) < 0 or counts.max(initial=0) > MOST
    return np.clip(numbers, 0.0, MOST) if odd else numbers
