"""Distance from what is normal at this hour of the week."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from watchkeeper.detectors.score_detector import ScoreDetector
from watchkeeper.detectors.scores import rounding, single
from watchkeeper.detectors.setting import Count, Positive, setting
from watchkeeper.detectors.types import Finding, Sample

N = TypeVar("N", int, float)

HOUR = 3600.0
HOURS = 168
LONGEST = 65_535  # windows that are counted of an hour of the week


@dataclass
class Seasonal(ScoreDetector):
    """Fires while the value is away from the usual one of its hour of the week (UTC).

    For traffic and load with a daily and weekly rhythm. Every hour has an exponentially weighted
    mean and spread of its own (additive seasonality as in Holt, Forecasting Seasonals and Trends
    by Exponentially Weighted Moving Averages, 1957); an hour not yet known gives no finding. Mean
    and spread are kept in single precision.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, of = Series("m", "1", "volume", ""), [9.0 + i % 2 for i in range(504)]
    >>> times = [Window(3600 * i, 3600 * i + 3600) for i in range(505)]
    >>> past = [Sample(series, w, v, 9) for w, v in zip(times, [*of, 90.0])]
    >>> [f.value for f in Seasonal(min_ratio=0.5, min_n=1).update(Samples.of(past))]
    [90.0]
    """

    name: ClassVar[str] = "seasonal"
    state_version: ClassVar[int] = 2

    min_hours: Positive = setting(1.5, "hours seen of an hour of the week before it is known")
    weeks: Count = setting(4, "weeks after which an hour's mean forgets")
    _seen: list[int] = field(default_factory=lambda: [0] * HOURS)
    _mean: list[float] = field(default_factory=lambda: [0.0] * HOURS)
    _spread: list[float] = field(default_factory=lambda: [0.0] * HOURS)

    def judge(self, sample: Sample) -> Finding | None:
        start, width = sample.window.start, sample.window.end - sample.window.start
        if not (math.isfinite(start) and 0.0 < width < math.inf):
            return None
        hour, value = int(start // HOUR) % HOURS, single(self.scaled(sample.value))
        seen, mean = self._seen[hour], self._mean[hour]
        found = None
        if seen * width >= self.min_hours * HOUR or seen == LONGEST:
            spread = self._spread[hour]
            spread = math.sqrt(spread * spread * seen / max(seen - 1, 1))
            noise = max(spread, rounding(mean, seen), self.error_of(sample, mean))
            found = self.scored(sample, self.score(value - mean, mean, noise), self.plain(mean))
        if not self.firing:
            self._learn(hour, value, min(max(1, round(self.weeks * HOUR / width)), LONGEST))
        return found

    def _learn(self, hour: int, value: float, most: int) -> None:
        seen = min(self._seen[hour] + 1, most)
        rate = 1.0 / seen
        change = value - self._mean[hour]
        spread = self._spread[hour]
        variance = (1.0 - rate) * (spread * spread + rate * change * change)
        self._seen = _with(self._seen, hour, seen)
        self._mean = _with(self._mean, hour, single(self._mean[hour] + rate * change))
        self._spread = _with(self._spread, hour, single(math.sqrt(variance)))


def _with(values: list[N], place: int, value: N) -> list[N]:
    changed = values.copy()
    changed[place] = value
    return changed
