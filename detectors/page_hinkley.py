"""The Page-Hinkley test, from river."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from river.drift import PageHinkley as River

from watchkeeper.detectors.river_detector import Drift, RiverDetector
from watchkeeper.detectors.setting import NonNegative, Positive, setting


@dataclass
class PageHinkley(RiverDetector):
    """Finds a lasting change of the mean by summing up what exceeds `delta`.

    Page, Continuous Inspection Schemes, Biometrika 41, 1954; without forgetting.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "latency", "p50"), [1.0, 1.1] * 60 + [2.0, 2.1] * 20
    >>> past = [Sample(series, Window(i, i + 1), v, 100) for i, v in enumerate(values)]
    >>> [f.at for f in PageHinkley().update(Samples.of(past))]
    [123.0]
    """

    name: ClassVar[str] = "page_hinkley"

    delta: NonNegative = setting(0.5, "excess that is tolerated, in standard deviations")
    threshold: Positive = setting(20.0, "sum of excesses that is a change, in standard deviations")

    def fresh(self) -> Drift:
        river: Drift = River(delta=self.delta, threshold=self.threshold, alpha=1.0)
        return river

    def evidence(self, river: Drift) -> tuple[float, float]:
        x = np.array(self._inputs)
        change = x - np.cumsum(x) / np.arange(1, len(x) + 1)
        up, down = np.cumsum(change - self.delta), np.cumsum(change + self.delta)
        summed = max(float(up[-1] - up.min()), float(down.max() - down[-1]))
        return max(summed, self.threshold), self.threshold
