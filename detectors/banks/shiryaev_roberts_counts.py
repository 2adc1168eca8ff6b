"""Evidence of drift in the histograms of many series."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.banks.bank import Fields
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.banks.shiryaev_roberts import EvidenceBank
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.shiryaev_roberts_counts import ShiryaevRobertsCounts


class ShiryaevRobertsCountsBank(EvidenceBank):
    """`ShiryaevRobertsCounts` over many series."""

    def __init__(self, detector: ShiryaevRobertsCounts, columns: int) -> None:
        self._histograms = detector.histograms()
        super().__init__(detector, columns)

    def fields(self) -> Fields:
        return [*super().fields(), *self._histograms.fields()]

    def sound(self, parts: list[State]) -> bool:
        return super().sound(parts) and self._histograms.sound(parts[0])

    def logarithm(self, held: State) -> FloatArray:
        return self._histograms.logarithm(held)

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        if samples.counts is None:
            return Judged.nothing(enough)
        flat = held.reshape(-1)
        which = np.flatnonzero(enough)
        some = flat[which]
        counts = samples.counts[enough]
        expected = samples.expected_counts
        usual = np.zeros_like(counts) if expected is None else expected[enough]
        passed = self._histograms.judge(some, counts, usual, some["run"] == 0)
        flat[which] = some
        return self.evident(held, samples, enough, enough, passed)
