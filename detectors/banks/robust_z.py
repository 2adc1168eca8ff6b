"""Distances of many series from their recent past, by median and spread."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.arithmetic import most, rounding, score, single
from watchkeeper.detectors.banks.bank import Fields
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.banks.score_bank import ScoreBank
from watchkeeper.detectors.banks.sheet import Sheet
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.robust_z import TAIL, TAIL_Z, RobustZ

_IN_ORDER = sum([1.0, 1e-16, 1e-16]) == 1.0  # from Python 3.12 on, `sum` carries what it loses
_AT_ONCE = 512  # series whose past is sorted at once: as much as the processor has at hand


class RobustZBank(ScoreBank):
    """`RobustZ` over many series. The past is a ring: `filled` values, the next goes to `next`."""

    def __init__(self, detector: RobustZ, columns: int) -> None:
        self._memory, self._warm_up = detector.memory, min(detector.warm_up, detector.memory)
        super().__init__(detector, columns)

    def loop(self) -> Callable[..., Any] | None:
        if self._share and not _IN_ORDER:
            return None
        from watchkeeper.detectors.banks import robust_z_fast  # of use only with numba

        return robust_z_fast.judge.compiled

    def own(self) -> tuple[list[float], list[int]]:
        return [], [self._warm_up, self._memory]

    def beside(self, sheet: Sheet) -> tuple[Any, ...]:
        return self._past.tables["past"], self._past.tables["pending"], np.empty((2, self._memory))

    def fields(self) -> Fields:
        return [*super().fields(), *((name, "<i8") for name in ("filled", "next", "waiting"))]

    def past(self) -> Fields:
        pending = self._for - 1
        even = pending + (self._memory + pending) % 2  # a record is whole words of 8 bytes
        return [("past", "<f4", (self._memory,)), ("pending", "<f4", (even,))]

    def sound(self, parts: list[State]) -> bool:
        limits = {"filled": self._memory, "next": self._memory - 1, "waiting": self._for - 1}
        places = [(parts[0][name] >= 0) & (parts[0][name] <= most) for name, most in limits.items()]
        return super().sound(parts) and bool(np.all(places))

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        value = single(self.scaled(samples.value, enough))
        ready = held["filled"] >= self._warm_up
        looked = enough & ready
        normal, scored = self._scores(rows, held, samples, looked, value)
        found = self.scored(held, samples, enough, looked, scored, normal)
        self._learn(rows, held, value, enough & ~ready, looked)
        return found

    def _scores(
        self,
        rows: IntArray,
        held: State,
        samples: Columns,
        looked: BoolArray,
        value: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """What is normal, and the score of each sample that may be beyond the limit."""
        limit = self.limit(self._threshold, self.firing(held))
        normal, scored = np.full(value.shape, np.nan), np.full(value.shape, np.nan)
        all_rows, all_columns = np.nonzero(looked)
        for first in range(0, len(all_rows), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            place = all_rows[part], all_columns[part]
            count = held["filled"][place]
            past = self._ordered(rows[place[0]], place[1], count)
            usual = self._normal(past, count)
            normal[place] = usual
            change = value[place] - usual
            far = np.flatnonzero(self.passing(change, usual, limit[place]))
            place = place[0][far], place[1][far]
            of = samples.value[place], samples.n[place], samples.stderr[place]
            spread = _spread(past[far], count[far], change[far] > 0.0)
            noise = most(most(spread, rounding(usual[far])), self.noise_of(*of, usual[far]))
            scored[place] = score(change[far], self.unit(usual[far], noise))
        return normal, scored

    def _ordered(self, rows: IntArray, columns: IntArray, count: IntArray) -> FloatArray:
        """The values remembered of each series in order, infinity behind them."""
        longest = int(count.max())
        past = self._past.tables["past"][:longest, rows, columns].T.astype(np.float64, order="C")
        past[np.arange(longest) >= count[:, None]] = math.inf
        past.sort(axis=1)
        return past

    def _normal(self, ordered: FloatArray, count: IntArray) -> FloatArray:
        if not self._share:
            return _quantile(ordered, count, 0.5)
        sums = (sum(past[:n].tolist()) for past, n in zip(ordered, count.tolist(), strict=True))
        return np.fromiter(sums, np.float64, len(count)) / count

    def _learn(
        self,
        rows: IntArray,
        held: State,
        value: FloatArray,
        warming: BoolArray,
        looked: BoolArray,
    ) -> None:
        """Remembers values once it is sure that they are not the beginning of a finding."""
        run, waiting, pending = held["run"], held["waiting"], self._past.tables["pending"]
        calm = looked & (run == 0)
        if (calm & (waiting > 0)).any():
            for place in range(self._for - 1):
                known = calm & (place < waiting)
                self._remember(rows, held, pending[place, rows], known)
        self._remember(rows, held, value, calm | warming)
        doubtful = looked & (run > 0) & (run < self._for)
        at_row, column = np.nonzero(doubtful)
        pending[waiting[doubtful], rows[at_row], column] = value[doubtful]
        np.copyto(waiting, (waiting + 1) * doubtful, where=looked)

    def _remember(self, rows: IntArray, held: State, value: FloatArray, where: BoolArray) -> None:
        row, column = np.nonzero(where)
        place = held["next"][where]
        self._past.tables["past"][place, rows[row], column] = value[where]
        held["next"][where] = (place + 1) % self._memory
        held["filled"][where] = np.minimum(held["filled"][where] + 1, self._memory)


def _quantile(ordered: FloatArray, count: IntArray, share: FloatArray | float) -> FloatArray:
    """The quantile of each row's first `count` values."""
    place = share * (count - 1)
    low = place.astype(np.int64)
    high = np.minimum(low + 1, count - 1)
    each = np.arange(len(count))
    below = ordered[each, low]
    return below + (place - low) * (ordered[each, high] - below)


def _spread(ordered: FloatArray, count: IntArray, above: BoolArray) -> FloatArray:
    middle = _quantile(ordered, count, 0.5)
    deviations = np.sort(np.abs(ordered - middle[:, None]), axis=1)
    tail = _quantile(ordered, count, np.where(above, 1.0 - TAIL, TAIL))
    return most(1.4826 * _quantile(deviations, count, 0.5), np.abs(tail - middle) / TAIL_Z)
