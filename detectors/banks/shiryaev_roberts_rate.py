"""Evidence of drift in the shares of many series."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from watchkeeper.detectors import fast
from watchkeeper.detectors.banks.bank import Fields
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.banks.sheet import Sheet
from watchkeeper.detectors.banks.shiryaev_roberts import EvidenceBank
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.shiryaev_roberts_rate import ShiryaevRobertsRate


class ShiryaevRobertsRateBank(EvidenceBank):
    """`ShiryaevRobertsRate` over many series."""

    def __init__(self, detector: ShiryaevRobertsRate, columns: int) -> None:
        self._rates = detector.rates()
        super().__init__(detector, columns)

    def settings(self) -> tuple[FloatArray, IntArray]:
        numbers, whole = self._rates.settings
        _, of = super().settings()
        more = np.array(whole, dtype=np.int64)
        return np.array([self.level, *numbers]), np.concatenate([of, more])

    def loop(self) -> Callable[..., Any]:
        from watchkeeper.detectors.banks import shiryaev_roberts_rate_fast  # only with numba

        return shiryaev_roberts_rate_fast.judge.compiled

    @cached_property
    def _weigh(self) -> Callable[..., Any]:
        from watchkeeper.detectors.banks import shiryaev_roberts_rate_fast  # only with numba

        return shiryaev_roberts_rate_fast.weigh.compiled

    def beside(self, sheet: Sheet) -> tuple[Any, ...]:
        return self._rates.tables

    def fields(self) -> Fields:
        return [*super().fields(), *self._rates.fields()]

    def sound(self, parts: list[State]) -> bool:
        return super().sound(parts) and self._rates.sound(parts[0])

    def logarithm(self, held: State) -> FloatArray:
        return self._rates.logarithm(held)

    def weighed(self, rows: IntArray) -> tuple[FloatArray, IntArray]:
        if not fast.available():
            return super().weighed(rows)
        self._reach(int(rows.max(initial=-1)) + 1)
        shape = len(rows), self.columns
        found = np.empty(shape), np.empty(shape, dtype=np.int64)
        self._weigh(np.ascontiguousarray(rows), *self._tables(), self._rates.tables[1], *found)
        return found

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        flat = held.reshape(-1)
        which = np.flatnonzero(enough)
        some = flat[which]
        passed = self._rates.judge(
            some,
            samples.value[enough],
            samples.n[enough],
            samples.expected[enough],
            some["run"] == 0,
        )
        flat[which] = some
        return self.evident(held, samples, enough, enough, passed)
