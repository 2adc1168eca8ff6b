"""Distance from the recent past, by median and spread."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from watchkeeper.detectors.score_detector import ScoreDetector
from watchkeeper.detectors.scores import bounded
from watchkeeper.detectors.setting import Count, setting
from watchkeeper.detectors.types import Finding, Sample

_TAIL = 0.025
_TAIL_Z = 1.96  # a normal variable passes this many standard deviations with probability _TAIL


@dataclass
class RobustZ(ScoreDetector):
    """Fires while the value is far from the median of the windows before.

    For measures without a reference, such as latency or a host's load. The noise is the largest
    of 1.4826 MAD, the spread of the tail on the value's side, the standard error and the floors
    (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993; the tail makes it hold for
    skewed measures). What is seen while it fires is not learned.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "latency", "p99"), [0.1, 0.11, 0.12] * 10 + [0.5]
    >>> past = [Sample(series, Window(i, i + 1), v, 100) for i, v in enumerate(values)]
    >>> [f.value for f in RobustZ(direction="up").update(Samples.of(past))]
    [0.5]
    """

    name: ClassVar[str] = "robust_z"

    memory: Count = setting(360, "windows that are remembered")
    warm_up: Count = setting(30, "windows that are learned before the first judgement")
    gap: int = setting(0, "newest windows that are not yet normal: finds slow climbs")
    log: bool = setting(False, "judges the logarithm: for positive measures with a long tail")
    _past: list[float] = field(default_factory=list)

    def judge(self, sample: Sample) -> Finding | None:
        value = self._scale(sample.value)
        if len(self._past) < min(self.warm_up, self.memory):
            self._learn(value)
            return None
        known, was_firing = self._known(), self.firing
        ordered = sorted(known)
        normal = sum(ordered) / len(ordered) if self.share else _quantile(ordered, 0.5)
        noise = max(_spread(ordered, value > normal), self._error(sample, normal))
        found = self.scored(sample, self._score(value - normal, normal, noise), self._unit(normal))
        if was_firing and not self.firing:
            self._past = list(known)  # the climb that led to the fault was not normal either
        if not self.firing:
            self._learn(value)
        return found

    def _known(self) -> list[float]:
        """The windows that count as normal: all but the newest, once there are enough."""
        enough = len(self._past) >= self.warm_up + self.gap
        return self._past[: len(self._past) - self.gap] if enough else self._past

    def _learn(self, value: float) -> None:
        self._past = [*self._past, value][-(self.memory + self.gap) :]

    def _scale(self, value: float) -> float:
        return math.log(max(value, 1e-300)) if self.log else bounded(value)

    def _unit(self, normal: float) -> float:
        return math.exp(min(normal, 700.0)) if self.log else normal

    def _error(self, sample: Sample, normal: float) -> float:
        error = self.noise_of(sample, normal)
        return min(error / max(sample.value, 1e-300), 1e300) if self.log else error

    def _score(self, change: float, normal: float, noise: float) -> float:
        if not self.log:
            return self.score(change, normal, noise)
        return self.score(change, 0.0, max(noise, math.log1p(self.min_ratio) / self.threshold))


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _spread(ordered: list[float], above: bool) -> float:
    middle = _quantile(ordered, 0.5)
    deviations = sorted(abs(value - middle) for value in ordered)
    tail = _quantile(ordered, 1.0 - _TAIL if above else _TAIL)
    return max(1.4826 * _quantile(deviations, 0.5), abs(tail - middle) / _TAIL_Z)
