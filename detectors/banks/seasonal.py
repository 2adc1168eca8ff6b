"""Distances of many series from what is normal at this hour of the week."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.arithmetic import most, rounding, score, single, spread_of
from watchkeeper.detectors.banks.bank import Fields
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.banks.score_bank import ScoreBank
from watchkeeper.detectors.banks.sheet import Sheet
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.seasonal import HOUR, HOURS, LONGEST, Seasonal

_NAMES = ("mean", "spread", "seen")  # of what is known of an hour


class SeasonalBank(ScoreBank):
    """`Seasonal` over many series."""

    def __init__(self, detector: Seasonal, columns: int) -> None:
        self._known = detector.min_hours * HOUR
        self._weeks = detector.weeks
        super().__init__(detector, columns)

    def loop(self) -> Callable[..., Any]:
        from watchkeeper.detectors.banks import seasonal_fast  # of use only with numba

        return seasonal_fast.judge.compiled

    def own(self) -> tuple[list[float], list[int]]:
        return [self._known], []

    def beside(self, sheet: Sheet) -> tuple[Any, ...]:
        width = sheet.at - sheet.start
        timed = _timed(sheet.start, width)
        hour = np.where(timed, _hours(np.where(timed, sheet.start, 0.0)), -1)
        longest = self._longest(np.where(timed, width, 1.0)).astype(np.int64)
        return width, hour, longest, *(self._past.tables[n] for n in _NAMES)

    def past(self) -> Fields:
        hours = (("mean", "<f4"), ("spread", "<f4"), ("seen", "<u2"))
        return [(name, kind, (HOURS,)) for name, kind in hours]

    def sound(self, parts: list[State]) -> bool:
        return super().sound(parts) and bool((parts[1]["spread"] >= 0.0).all())

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        width = samples.at - samples.start
        timed = _timed(samples.start, width)
        looked = enough & timed[:, None]
        place = self._places(rows, np.where(timed, samples.start, 0.0))
        mean, spread, seen = self._hour(place)
        value = single(self.scaled(samples.value, looked))
        known = looked & ((seen * width[:, None] >= self._known) | (seen == LONGEST))
        error = self.error_of(samples.value, samples.n, samples.stderr, mean)
        noise = most(most(spread_of(spread * spread, seen), rounding(mean, seen)), error)
        scored = score(value - mean, self.unit(mean, noise))
        found = self.scored(held, samples, enough, known, scored, mean)
        learned = looked & ~self.firing(held)
        self._learn(place, learned, value, self._longest(width))
        return found

    def _longest(self, width: FloatArray) -> FloatArray:
        """After how many windows of such a width an hour's mean forgets."""
        return np.minimum(np.maximum(np.rint(self._weeks * HOUR / width), 1.0), LONGEST)

    def _places(self, rows: IntArray, start: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
        """Hour of the week, row and column of each sample in the state."""
        return _hours(start)[:, None], rows[:, None], np.arange(self.columns)[None, :]

    def _hour(
        self, place: tuple[IntArray, IntArray, IntArray]
    ) -> tuple[FloatArray, FloatArray, IntArray]:
        """Mean, spread and number of windows at these places, as numbers to reckon with."""
        mean, spread, seen = (self._past.tables[n][place] for n in _NAMES)
        return mean.astype(np.float64), spread.astype(np.float64), seen.astype(np.int64)

    def _learn(
        self,
        place: tuple[IntArray, IntArray, IntArray],
        where: BoolArray,
        value: FloatArray,
        longest: FloatArray,
    ) -> None:
        mean, spread, seen = before = self._hour(place)
        seen = np.minimum(seen + 1, longest[:, None].astype(np.int64))
        rate = 1.0 / seen
        change = value - mean
        mean = mean + rate * change
        variance = (1.0 - rate) * (spread * spread + rate * change * change)
        after = single(mean), single(np.sqrt(variance)), seen
        for name, old, new in zip(_NAMES, before, after, strict=True):
            self._past.tables[name][place] = np.where(where, new, old)


def _timed(start: FloatArray, width: FloatArray) -> BoolArray:
    """Which windows have an hour of the week."""
    return np.asarray(np.isfinite(start) & (width > 0.0) & (width < math.inf))


def _hours(start: FloatArray) -> IntArray:
    """The hour of the week of each window."""
    return ((start // HOUR) % HOURS).astype(np.int64)
