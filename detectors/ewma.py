"""A control chart on the smoothed value: small lasting shifts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from watchkeeper.detectors.score_detector import ScoreDetector
from watchkeeper.detectors.setting import Count, Probability, setting
from watchkeeper.detectors.types import Finding, Sample

OUTLIER = 2.0  # units of noise beyond which a window is learned as if it were there
STEP = 0.6  # of the threshold: the most that one window may move the smoothed score
MOST = 1.2  # of the threshold: the most it can be, so that recovery is soon seen


@dataclass
class Ewma(ScoreDetector):
    """Fires while the exponentially weighted mean is away from the learned one.

    For shifts too small to show in a single window, such as a few points of accuracy (Roberts,
    Control Chart Tests Based on Geometric Moving Averages, Technometrics 1, 1959). Mean, spread
    and the spread of the smoothed value, which is the larger the more windows resemble their
    neighbours, are learned, outliers as if they were nearer; nothing is learned beyond the
    limit. It takes two windows at least to pass it, however far out they are.

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
    _smooth_variance: float = 0.0

    @property
    def ready(self) -> bool:
        """Whether it has learned enough to judge."""
        return self._seen >= self.warm_up

    def judge(self, sample: Sample) -> Finding | None:
        value, mean = self.scaled(sample.value), self._mean
        if not self.ready:
            self._smooth += self.weight * (value - mean - self._smooth) if self._seen else 0.0
            self._learn(value, self._smooth)
            return None
        spread = math.sqrt(self._variance * self._seen / max(self._seen - 1, 1))
        noise = max(spread, self.error_of(sample, mean))
        narrower = math.sqrt(self.weight / (2.0 - self.weight))
        smooth_noise = max(noise * narrower, math.sqrt(self._smooth_variance))
        self._smooth_in(value - mean, self.threshold * self.unit(mean, smooth_noise))
        found = self.scored(sample, self.score(self._smooth, mean, smooth_noise), self.plain(mean))
        if self._run == 0:
            near = mean + _within(value - mean, OUTLIER * noise)
            self._learn(near, _within(self._smooth, OUTLIER * smooth_noise))
        return found

    def _smooth_in(self, change: float, limit: float) -> None:
        """One window moves the smoothed change by at most 0.6 of its limit: two can pass it."""
        moved = self._smooth + _within(self.weight * (change - self._smooth), STEP * limit)
        self._smooth = _within(moved, MOST * limit)

    def _learn(self, value: float, smooth: float) -> None:
        self._seen = min(self._seen + 1, self.memory)
        rate = 1.0 / self._seen
        change = value - self._mean
        self._mean += rate * change
        self._variance = (1.0 - rate) * (self._variance + rate * change * change)
        self._smooth_variance += rate * (smooth * smooth - self._smooth_variance)


def _within(change: float, most: float) -> float:
    """The change, cut off at +-most; whole where there is no measure of noise."""
    return min(most, max(-most, change)) if most > 0.0 else change
