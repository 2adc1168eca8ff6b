"""Adaptive windowing, from river."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from river.drift import ADWIN

from watchkeeper.detectors.cut_detector import CutDetector
from watchkeeper.detectors.river_detector import Drift
from watchkeeper.detectors.setting import Count, Probability, setting


@dataclass
class Adwin(CutDetector):
    """Finds a change of the mean of unknown size and date (Bifet and Gavalda, SDM 2007).

    It gets the normal distribution's share below the score, since it assumes inputs in 0..1. The
    statistic is the difference of the two means at the likeliest cut, in standard errors.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "latency", "p50"), [1.0, 1.1] * 60 + [2.0, 2.1] * 20
    >>> past = [Sample(series, Window(i, i + 1), v, 100) for i, v in enumerate(values)]
    >>> [f.direction for f in Adwin().update(Samples.of(past))]
    ['up']
    """

    name: ClassVar[str] = "adwin"

    delta: Probability = setting(0.05, "river's confidence parameter: smaller is surer")
    clock: Count = setting(1, "windows between two looks")

    def fresh(self) -> Drift:
        river: Drift = ADWIN(delta=self.delta, clock=self.clock)  # type: ignore[no-untyped-call]
        return river

    def limit(self) -> float:
        return math.sqrt(2.0 * math.log(2.0 * math.log(len(self._inputs)) / self.delta))
