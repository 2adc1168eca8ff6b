"""A bound that a value must not pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from watchkeeper.detectors.level_detector import LevelDetector
from watchkeeper.detectors.setting import setting
from watchkeeper.detectors.types import Finding, Sample


@dataclass
class Threshold(LevelDetector):
    """Fires while the value is above or below a fixed bound: for promises and physical limits.

    The one detector that needs neither a past nor a reference (Shewhart, Economic Control of
    Quality of Manufactured Product, 1931, with limits given instead of learned).

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series = Series("m", "1", "errors", "error_rate")
    >>> of = [Sample(series, Window(t, t + 60.0), v, 100) for t, v in ((0.0, 0.01), (60.0, 0.2))]
    >>> [(f.value, f.threshold) for f in Threshold(above=0.05).update(Samples.of(of))]
    [(0.2, 0.05)]
    """

    name: ClassVar[str] = "threshold"

    above: float = setting(math.inf, "fires above this value")
    below: float = setting(-math.inf, "fires below this value")

    def judge(self, sample: Sample) -> Finding | None:
        high = sample.value > self.above
        return self.sustained_finding(
            sample,
            high or sample.value < self.below,
            statistic=sample.value,
            threshold=self.above if high else self.below,
            direction="up" if high else "down",
        )
