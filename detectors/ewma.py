"""A control chart on the smoothed value: small lasting shifts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from watchkeeper.detectors.score_detector import ScoreDetector
from watchkeeper.detectors.scores import bounded
from watchkeeper.detectors.setting import Count, Probability, setting
from watchkeeper.detectors.types import Finding, Sample


@dataclass
class Ewma(ScoreDetector):
    """Fires while the exponentially weighted mean is away from the learned one.

    For shifts too small to show in a single window, such as a few points of accuracy (Roberts,
    Control Chart Tests Based on Geometric Moving Averages, Technometrics 1, 1959). Mean and
    spread are learned; no window counts for more than twice the threshold; what is seen while
    the chart is beyond its limit is not learned.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "accuracy", "accuracy"), [0.8, 0.81] * 20 + [0.7] * 3
    >>> past = [Sample(series, Window(i, i + 1), v, 200, 0.03) for i, v in enumerate(values)]
    >>> [f.at for f in Ewma(direction="down").update(Samples.of(past))]
    [43.0]
    """

    name: ClassVar[str] = "ewma"

    weight: Probability = setting(0.3, "weight of the newest window in the smoothed value")
    warm_up: Count = setting(30, "windows that are learned before the first judgement")
    memory: Count = setting(500, "windows after which the learned mean forgets")
    _seen: int = 0
    _mean: float = 0.0
    _variance: float = 0.0
    _smooth: float = 0.0

    def judge(self, sample: Sample) -> Finding | None:
        value = bounded(sample.value)
        if self._seen < self.warm_up:
            self._learn(value)
            return None
        mean = self._mean
        spread = math.sqrt(self._variance * self._seen / max(self._seen - 1, 1))
        noise = max(spread, self.error_of(sample, mean))
        narrower = math.sqrt(self.weight / (2.0 - self.weight))
        scored = self.score(value - mean, mean, noise * narrower)
        most = 2.0 * self.threshold
        self._smooth += self.weight * (min(most, max(-most, scored)) - self._smooth)
        found = self.scored(sample, self._smooth, mean)
        if self._run == 0:
            self._learn(value)
        return found

    def _learn(self, value: float) -> None:
        self._seen = min(self._seen + 1, self.memory)
        rate = 1.0 / self._seen
        change = value - self._mean
        self._mean += rate * change
        self._variance = (1.0 - rate) * (self._variance + rate * change * change)
