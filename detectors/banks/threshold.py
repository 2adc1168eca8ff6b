"""Many series under a fixed bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import LevelBank, judged, signs
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.threshold import Threshold


class ThresholdBank(LevelBank):
    """`Threshold` over many series."""

    def __init__(self, detector: Threshold, columns: int) -> None:
        self._above, self._below = detector.above, detector.below
        super().__init__(detector, columns)

    def loop(self) -> Callable[..., Any]:
        from watchkeeper.detectors.banks import threshold_fast  # of use only with numba

        return threshold_fast.judge.compiled

    def settings(self) -> tuple[FloatArray, IntArray]:
        return np.array([self._above, self._below]), super().settings()[1]

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        value = samples.value
        high = value > self._above
        beyond = high | (value < self._below)
        return judged(
            enough,
            self.sustained(held, samples.start, enough, beyond),
            statistic=value,
            threshold=np.where(high, self._above, self._below),
            direction=signs(high),
        )
