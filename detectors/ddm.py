"""The drift detection method, from river."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from river.drift.binary import DDM as River

from watchkeeper.detectors.cut_detector import CutDetector
from watchkeeper.detectors.river_detector import Drift
from watchkeeper.detectors.setting import Count, Positive, setting


@dataclass
class Ddm(CutDetector):
    """Finds that the value is more often above its normal than it was (Gama et al., SBIA 2004).

    The method counts errors; here a window above the normal value is one, so that it is blind for
    a fall. The statistic is the difference of the two shares at the likeliest cut, in standard
    errors.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "latency", "p50"), [1.0, 1.1] * 60 + [2.0, 2.1] * 30
    >>> past = [Sample(series, Window(i, i + 1), v, 100) for i, v in enumerate(values)]
    >>> [f.direction for f in Ddm().update(Samples.of(past))]
    ['up']
    """

    name: ClassVar[str] = "ddm"

    threshold: Positive = setting(3.0, "standard deviations above the lowest share so far")
    warm_start: Count = setting(30, "windows before its first look")

    def fresh(self) -> Drift:
        river: Drift = River(
            warm_start=self.warm_start,
            warning_threshold=self.threshold,
            drift_threshold=self.threshold,
        )
        return river

    def put(self, z: float) -> float:
        return float(z > 0.0)

    def limit(self) -> float:
        return self.threshold
