"""Many series under a fixed bound."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.banks.bank import State
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import LevelBank, judged, signs
from watchkeeper.detectors.frames import BoolArray, IntArray
from watchkeeper.detectors.threshold import Threshold


class ThresholdBank(LevelBank):
    """`Threshold` over many series."""

    def __init__(self, detector: Threshold, columns: int) -> None:
        self._above, self._below = detector.above, detector.below
        super().__init__(detector, columns)

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
