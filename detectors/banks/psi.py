"""Population stability indices of many histograms."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

from watchkeeper.detectors import fast
from watchkeeper.detectors.banks import pooling
from watchkeeper.detectors.banks.arithmetic import most
from watchkeeper.detectors.banks.columns import Columns, Counts
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import LevelBank, judged
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.banks.sheet import Sitting
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.psi import Psi
from watchkeeper.detectors.scores import chi_square_limit

_AT_ONCE = 1_024  # histograms pooled at once: as much as the processor has at hand


class PsiBank(LevelBank):
    """`Psi` over many series."""

    by_histograms = True

    def __init__(self, detector: Psi, columns: int) -> None:
        self._alpha, self._min_effect = detector.alpha, detector.min_effect
        self._chances = np.zeros((2, 0))
        super().__init__(detector, columns)

    def settings(self) -> tuple[FloatArray, IntArray]:
        return np.array([self._min_effect]), super().settings()[1]

    def judge_here(
        self, sitting: Sitting, columns: IntArray, first: int, samples: Columns | None
    ) -> bool:
        from watchkeeper.detectors.banks import psi_fast  # of use only with numba

        if samples is None:
            return False
        counts, usual = samples.counts, samples.expected_counts
        if counts is None or usual is None or counts.shape[2] > psi_fast.WIDEST:
            return False
        rows, last, sheet, page, _ = sitting
        self._reach(last + 1)
        step = max(1, _AT_ONCE // max(1, self.columns))
        taken = columns, sheet.given, sheet.value, sheet.n, self._whole, page.marks, first
        for begin in range(0, len(rows), step):
            part = slice(begin, begin + step)
            here, there = (np.array(each[part], np.float64, order="C") for each in (counts, usual))
            size = here.shape[0] * here.shape[1]
            places, groups = np.empty((2, size), dtype=np.int64)
            sizes, change, ratio = np.empty(size), np.empty(here.size), np.empty(here.size)
            pooled = places, groups, sizes
            many = psi_fast.pool.compiled(here, there, begin, *taken, *pooled, change, ratio)
            filled = int(groups[:many].sum())
            terms = change[:filled] * np.log(ratio[:filled])
            chances = self._chances_of(groups[:many], counts.shape[2])
            state = begin, rows, *self._tables(), sheet.start, self._settings, self._whole
            written = page.numbers, page.marks, first, self.columns
            psi_fast.judge.compiled(*pooled, many, terms, *state, chances, *written)
        return True

    def _chances_of(self, groups: IntArray, widest: int) -> FloatArray:
        """What chance explains of so many bins, `widest` at most, normally and while firing; kept
        once known."""
        if widest >= self._chances.shape[1]:
            wider = np.full((2, widest + 1), np.nan)
            wider[:, : self._chances.shape[1]] = self._chances
            self._chances = wider
        if math.isnan(self._chances[0].take(groups).sum()):
            for row, alpha in enumerate((self._alpha, math.sqrt(self._alpha))):
                for group in np.unique(groups).tolist():
                    self._chances[row, group] = chi_square_limit(alpha, group - 1)
        return self._chances

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        if samples.counts is None or samples.expected_counts is None:
            return Judged.nothing(enough)
        firing, means = self.firing(held), _means()
        index, limit = np.full(enough.shape, np.nan), np.full(enough.shape, np.nan)
        step = max(1, _AT_ONCE // max(1, self.columns))
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            place = np.flatnonzero(enough[part])
            counts = _chosen(samples.counts[part], place)
            both = means.pooled(counts, _chosen(samples.expected_counts[part], place))
            place = place[both.which]
            index[part].reshape(-1)[place] = both.indices()
            limits = self._limits(both, firing[part].reshape(-1)[place])
            limit[part].reshape(-1)[place] = limits
        sustained = self.sustained(held, samples.start, enough & ~np.isnan(limit), index > limit)
        return judged(enough, sustained, statistic=index, threshold=limit)

    def _limits(self, both: pooling.Pooled, firing: BoolArray) -> FloatArray:
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


def _means() -> ModuleType:
    if not fast.available():
        return pooling
    from watchkeeper.detectors.banks import pooling_fast  # of use only with numba

    return pooling_fast
