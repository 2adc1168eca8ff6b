"""How fast the error budget of a service-level objective is being used up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from watchkeeper.detectors.level_detector import LevelDetector
from watchkeeper.detectors.setting import Positive, Probability, setting
from watchkeeper.detectors.types import Finding, Sample

_BUCKET_S = 60.0  # event time that is counted together
_LONGEST_S = 6 * 3_600.0
_LEAST = 30  # events of the long span that a verdict needs


class _Pace(NamedTuple):
    """A share of the budget of 30 days, used up within the long span, that is too much."""

    long_s: float
    short_s: float
    factor: float


# 2 % of the budget within an hour, or 5 % within six; the short span ends the finding soon after.
_PACES = (_Pace(3_600.0, 300.0, 14.4), _Pace(_LONGEST_S, 1_800.0, 6.0))


@dataclass
class BurnRate(LevelDetector):
    """Fires while the error budget burns so fast that 30 days' would be gone in days.

    For shares of bad events, such as errors. The share must be too large over a long span and over
    its newest twelfth: over an hour 14.4 times what the objective allows, or over six hours 6 times
    (Beyer et al., The Site Reliability Workbook, 2018, chapter 5, multiwindow burn rates). The
    statistic is the larger of the two in units of its limit. A pace is not judged before its short
    span is known and 30 events of its long one; time before the first event counts as good, with
    as many events as came on average since.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, shares = Series("m", "1", "errors", ""), [0.0] * 10 + [0.05] * 30
    >>> past = [Sample(series, Window(60 * i, 60 * i + 60), v, 100) for i, v in enumerate(shares)]
    >>> BurnRate(objective=0.999).update(Samples.of(past))[0].at
    1680.0
    """

    name: ClassVar[str] = "burn_rate"

    min_n: int = 1
    objective: Probability = setting(0.99, "share of events that are good")
    pace: Positive = setting(1.0, "scale of both limits: 2 waits for a pace twice as fast")
    _buckets: list[tuple[float, float, int]] = field(default_factory=list)  # start, bad events, all

    def judge(self, sample: Sample) -> Finding | None:
        self._count(sample)
        allowed = max(1.0 - self.objective, 1e-12) * self.pace
        at, paces = sample.window.end, []
        for each in _PACES:
            paces.append(self._burnt(at, each) / (each.factor * allowed))
        statistic, threshold = max(paces), self.limit(1.0)
        return self.sustained_finding(
            sample,
            statistic > threshold,
            statistic=statistic,
            threshold=threshold,
            expected=1.0 - self.objective,
            direction="up",
        )

    def _count(self, sample: Sample) -> None:
        start = math.floor(sample.window.start / _BUCKET_S) * _BUCKET_S
        bad = min(1.0, max(0.0, sample.value)) * sample.n
        oldest = sample.window.end - _LONGEST_S
        kept = [each for each in self._buckets if each[0] >= oldest]
        if kept and kept[-1][0] >= start:
            last, before, n = kept.pop()
            self._buckets = [*kept, (last, before + bad, n + sample.n)]
        else:
            self._buckets = [*kept, (start, bad, sample.n)]

    def _burnt(self, at: float, pace: _Pace) -> float:
        """The lesser of the shares of bad events in both spans; 0 while too little is known."""
        known = at - self._buckets[0][0]
        long_bad, long_n = self._events(at - pace.long_s)
        short_bad, short_n = self._events(at - pace.short_s)
        if known < pace.short_s or long_n < _LEAST or short_n <= 0:
            return 0.0
        missing = max(1.0, pace.long_s / known)
        return min(long_bad / (long_n * missing), short_bad / short_n)

    def _events(self, since: float) -> tuple[float, int]:
        """Bad events since then, and all."""
        bad = sum(b for start, b, _ in self._buckets if start >= since)
        return bad, sum(n for start, _, n in self._buckets if start >= since)
