"""Evidence of any drift of a value, against a budget of false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.frames import BoolArray
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.sequential.detector import EvidenceDetector
from watchkeeper.detectors.sequential.layout import Fields, Records
from watchkeeper.detectors.sequential.watching import Floors, Passed, Values
from watchkeeper.detectors.setting import Count, NonNegative, setting
from watchkeeper.detectors.types import Direction, Sample


@dataclass
class ShiryaevRoberts(EvidenceDetector):
    """Fires while windows' values are distributed otherwise than they were: level, spread or shape.

    Values are ranked among those before, so no scale, distribution or threshold is assumed: a
    window adds to the evidence what bets on drift make of its rank (Shiryaev, 1963; Roberts,
    Technometrics 8, 1966; as an e-detector: Shin, Ramdas and Rinaldo, NEJSDS 2, 2024). Without
    drift it fires once in `average_run_length` windows. Where windows resemble the ones before,
    only what is new in them counts. With a smallest change, only changes of the level are found;
    with a direction, no others are looked for.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> usual = [0.1 + i * i * 7919 % 101 / 1e4 for i in range(180)]
    >>> series, values = Series("m", "1", "latency", "p50"), usual + [0.5] * 7
    >>> past = [Sample(series, Window(i, i + 1), v, 100) for i, v in enumerate(values)]
    >>> [f.at for f in ShiryaevRoberts(average_run_length=1000).update(Samples.of(past))]
    [183.0, 184.0, 185.0, 186.0, 187.0]
    """

    name: ClassVar[str] = "shiryaev_roberts"

    direction: Direction = setting("either", "which changes matter: up, down or either")
    min_change: NonNegative = setting(0.0, "smallest change that matters, in the value's unit")
    min_ratio: NonNegative = setting(0.0, "smallest change that matters, as a share of normal")
    warm_up: Count = setting(120, "windows that are learned before the first judgement")
    memory: Count = setting(20_000, "windows after which the history forgets")

    def values(self) -> Values:
        """What judges the values."""
        floors = Floors(self.min_change, self.min_ratio)
        return Values(self.direction, self.level, self.warm_up, self.memory, floors)

    def layouts(self) -> list[Fields]:
        self._values = self.values()
        return [self._values.fields(), self._values.history()]

    def passed(self, sample: Sample, calm: BoolArray) -> Passed | None:
        first = np.zeros(1, dtype=np.int64)
        key = keys_of([key_text(sample.series.signal, sample.series.target)])
        value, n = np.array([sample.value]), np.array([sample.n])
        return self._values.judge(
            self.records[0], self.records[1], (first, first), key, value, n, calm
        )

    def sound(self, records: list[Records]) -> bool:
        return self._values.sound(*records)


def key_text(signal: str, target: str) -> str:
    """By what the lots of a series are drawn: the same for a detector and in a bank."""
    return f"{signal}\x1f{target}"
