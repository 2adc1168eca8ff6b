"""Distance from the recent past, by median and spread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from watchkeeper.detectors.score_detector import ScoreDetector
from watchkeeper.detectors.scores import rounding, single
from watchkeeper.detectors.setting import Count, setting
from watchkeeper.detectors.types import Finding, Sample

TAIL = 0.025
TAIL_Z = 1.96  # a normal variable passes this many standard deviations with probability TAIL


@dataclass
class RobustZ(ScoreDetector):
    """Fires while the value is far from the median of the windows before.

    For measures without a reference, such as latency or a host's load. The noise is the largest
    of 1.4826 MAD, the spread of the tail on the value's side, the standard error and the floors
    (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993; the tail makes it hold for
    skewed measures). What is seen while it fires is not learned. Values are remembered, and judged,
    in single precision: a change of a ten-millionth is none.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "latency", "p99"), [0.1, 0.11, 0.12] * 10 + [0.5]
    >>> past = [Sample(series, Window(i, i + 1), v, 100) for i, v in enumerate(values)]
    >>> [f.value for f in RobustZ(direction="up").update(Samples.of(past))]
    [0.5]
    """

    name: ClassVar[str] = "robust_z"

    memory: Count = setting(360, "windows that are remembered")
    warm_up: Count = setting(30, "windows that are learned before the first judgement")
    _past: list[float] = field(default_factory=list)
    _pending: list[float] = field(default_factory=list)

    def judge(self, sample: Sample) -> Finding | None:
        value = single(self.scaled(sample.value))
        if len(self._past) < min(self.warm_up, self.memory):
            self._past = [*self._past, value]
            return None
        ordered = sorted(self._past)
        normal = sum(ordered) / len(ordered) if self.share else _quantile(ordered, 0.5)
        spread = max(_spread(ordered, value > normal), rounding(normal))
        noise = max(spread, self.noise_of(sample, normal))
        scored = self.score(value - normal, normal, noise)
        found = self.scored(sample, scored, self.plain(normal))
        self._learn(value)
        return found

    def _learn(self, value: float) -> None:
        """Remembers the value once it is sure that it is not the beginning of a finding."""
        self._pending = [] if self.firing else [*self._pending, value]
        if self._run == 0:
            self._past = [*self._past, *self._pending][-self.memory :]
            self._pending = []


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _spread(ordered: list[float], above: bool) -> float:
    middle = _quantile(ordered, 0.5)
    deviations = sorted(abs(value - middle) for value in ordered)
    tail = _quantile(ordered, 1.0 - TAIL if above else TAIL)
    return max(1.4826 * _quantile(deviations, 0.5), abs(tail - middle) / TAIL_Z)
