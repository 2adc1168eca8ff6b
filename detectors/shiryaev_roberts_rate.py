"""Evidence of drift of a share of events, against a budget of false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from watchkeeper.detectors.frames import BoolArray
from watchkeeper.detectors.sequential.detector import EvidenceDetector
from watchkeeper.detectors.sequential.layout import Fields, Records
from watchkeeper.detectors.sequential.watching import Floors, Passed, Rates
from watchkeeper.detectors.setting import Count, NonNegative, setting
from watchkeeper.detectors.types import Direction, Sample

Against = Literal["history", "reference"]


@dataclass
class ShiryaevRobertsRate(EvidenceDetector):
    """Fires while the share of n events is another than before: error rates, missing values.

    A window adds to the evidence what bets on other odds make of its hits and misses. Where windows
    vary more than independent events would, they count for fewer events. The share is compared with
    that of the windows before, or with the reference's, whose own error is not known: then give a
    smallest change. Without drift it fires once in `average_run_length` windows or less often.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "errors", ""), [0.1, 0.12, 0.08] * 20 + [0.25] * 3
    >>> past = [Sample(series, Window(i, i + 1), v, 200) for i, v in enumerate(values)]
    >>> [f.at for f in ShiryaevRobertsRate(direction="up").update(Samples.of(past))]
    [61.0, 62.0, 63.0]
    """

    name: ClassVar[str] = "shiryaev_roberts_rate"

    direction: Direction = setting("either", "which changes matter: up, down or either")
    against: Against = setting("history", "compare with the windows before or the reference")
    min_change: NonNegative = setting(0.0, "smallest change of the share that matters")
    min_ratio: NonNegative = setting(0.0, "smallest change that matters, as a share of normal")
    warm_up: Count = setting(255, "events that are learned before the first judgement, at least")
    memory: Count = setting(1_000_000, "events after which the running share forgets")

    def rates(self) -> Rates:
        """What judges the shares."""
        floors = Floors(self.min_change, self.min_ratio)
        reference = self.against == "reference"
        return Rates(self.direction, self.level, self.warm_up, self.memory, floors, reference)

    def layouts(self) -> list[Fields]:
        self._rates = self.rates()
        return [self._rates.fields()]

    def passed(self, sample: Sample, calm: BoolArray) -> Passed | None:
        value, n = np.array([sample.value]), np.array([sample.n])
        return self._rates.judge(self.records[0], value, n, np.array([sample.expected]), calm)

    def sound(self, records: list[Records]) -> bool:
        return self._rates.sound(records[0])
