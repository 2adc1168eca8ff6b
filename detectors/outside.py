"""Limits to both sides of what is expected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from watchkeeper.detectors.each_sample import EachSample
from watchkeeper.detectors.scores import score
from watchkeeper.detectors.setting import NonNegative, Positive, setting
from watchkeeper.detectors.types import Direction, Finding, Sample


@dataclass
class Outside(EachSample):
    """Finds samples that are beyond limits around what is expected, each for itself.

    For few and large samples that know their normal value and its spread (Shewhart, Economic
    Control of Quality of Manufactured Product, 1931): what was found before changes no limit.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series = Series("m", "1", "stretch", "accuracy")
    >>> worse = Sample(series, Window(0.0, 60.0), 0.83, 2_000, stderr=0.01, expected=0.88)
    >>> [round(f.statistic, 1) for f in Outside(direction="down").update(Samples.of([worse]))]
    [5.0]
    """

    name: ClassVar[str] = "outside"
    sustained: ClassVar[bool] = True

    direction: Direction = setting("either", "which changes matter: up, down or either")
    threshold: Positive = setting(3.0, "standard errors from what is expected to the limits")
    min_change: NonNegative = setting(0.0, "smallest change that matters, in the value's unit")

    def judge(self, sample: Sample) -> Finding | None:
        change = sample.value - sample.expected
        unit = max(sample.stderr, self.min_change / self.threshold)
        if not (math.isfinite(change) and math.isfinite(unit) and unit > 0.0):
            return None
        scored = score(change, unit)
        statistic = {"up": scored, "down": -scored}.get(self.direction, abs(scored))
        if not statistic > self.threshold:
            return None
        return self.finding(
            sample,
            statistic=statistic,
            threshold=self.threshold,
            expected=sample.expected,
            direction="up" if scored > 0 else "down",
        )
