"""Evidence of drift in the values of many series."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np

from watchkeeper.detectors.banks.bank import Fields
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import LevelBank, judged, signs
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.keys import Keys, keys_of
from watchkeeper.detectors.sequential.detector import EvidenceDetector
from watchkeeper.detectors.sequential.watching import BELOW, Passed, calibration_of
from watchkeeper.detectors.shiryaev_roberts import ShiryaevRoberts, key_text


class EvidenceBank(LevelBank):
    """Fires while ln M is above ln A."""

    def __init__(self, detector: EvidenceDetector, columns: int) -> None:
        self._level, self._most = math.log(detector.level.windows), math.log(detector.level.most)
        super().__init__(detector, columns)

    @abstractmethod
    def logarithm(self, held: State) -> FloatArray:
        """ln M of records (W,)."""

    def limit(self, threshold: float, firing: BoolArray) -> FloatArray:
        """The threshold, or a little less while firing."""
        return np.where(firing, threshold - BELOW, threshold)

    @property
    def level(self) -> float:
        """ln A."""
        return self._level

    @property
    def most(self) -> float:
        """ln of the evidence beyond which no more is counted."""
        return self._most

    def evidence(self, rows: IntArray) -> FloatArray:
        """ln M of the series of these rows (R, C), to be shown beside ln A."""
        held = self._held(rows)
        return self.logarithm(held.reshape(-1)).reshape(held.shape)

    def calibrated(self, rows: IntArray) -> IntArray:
        """A number of `Calibration` for the series of these rows (R, C)."""
        held = self._held(rows)
        return calibration_of(held.reshape(-1)).reshape(held.shape)

    def weighed(self, rows: IntArray) -> tuple[FloatArray, IntArray]:
        """Both of the series of these rows."""
        return self.evidence(rows), self.calibrated(rows)

    def _held(self, rows: IntArray) -> State:
        self._reach(int(rows.max()) + 1 if len(rows) else 0)
        return self._fields.take(rows)

    def evident(
        self, held: State, samples: Columns, enough: BoolArray, looked: BoolArray, passed: Passed
    ) -> Judged:
        """The judgement of the windows that were looked at, row by row; the rest is as before."""
        shape = enough.shape
        statistic, expected = np.full(shape, np.nan), np.full(shape, np.nan)
        matters, up = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        statistic[looked], expected[looked] = passed.statistic, passed.normal
        matters[looked], up[looked] = passed.matters, passed.up
        limit = self.limit(self._level, self.firing(held))
        sustained = self.sustained(held, samples.start, looked, matters & (statistic > limit))
        direction = np.where(np.isnan(expected), np.int8(0), signs(up))
        return judged(
            enough,
            sustained,
            statistic=statistic,
            threshold=limit,
            expected=expected,
            direction=direction,
        )


class ShiryaevRobertsBank(EvidenceBank):
    """`ShiryaevRoberts` over many series."""

    def __init__(self, detector: ShiryaevRoberts, columns: int) -> None:
        self._values = detector.values()
        self._named: tuple[str, tuple[str, ...]] = ("", ())
        self._keys: Keys = keys_of([])
        super().__init__(detector, columns)

    def fields(self) -> Fields:
        return [*super().fields(), *self._values.fields()]

    def history(self) -> Fields:
        return self._values.history()

    def sound(self, parts: list[State]) -> bool:
        return super().sound(parts) and self._values.sound(parts[0], parts[1])

    def logarithm(self, held: State) -> FloatArray:
        return self._values.logarithm(held)

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        flat, history = held.reshape(-1), self._history.table.reshape(-1)
        row, column = np.nonzero(enough)
        at = row * self.columns + column, rows[row] * self.columns + column
        passed = self._values.judge(
            flat,
            history,
            at,
            self._keys_of(samples)[column],
            samples.value[row, column],
            samples.n[row, column],
            flat["run"][at[0]] == 0,
        )
        return self.evident(held, samples, enough, enough, passed)

    def _keys_of(self, samples: Columns) -> Keys:
        """The keys of the columns, which are seldom others than before."""
        named = samples.signal, samples.targets
        if named != self._named:
            self._named = named
            self._keys = keys_of([key_text(samples.signal, each) for each in samples.targets])
        return self._keys
