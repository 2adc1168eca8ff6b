"""No traffic where there used to be some."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import msgspec

from watchkeeper.detectors.level_detector import LevelDetector
from watchkeeper.detectors.scores import bounded
from watchkeeper.detectors.setting import Count, Positive, Probability, setting
from watchkeeper.detectors.types import Finding, Sample

DAY = 86_400.0
RECENT = 30  # windows over which the present rate is taken
LONGEST = 1e15  # seconds of silence that are told apart


@dataclass
class Silence(LevelDetector):
    """Fires while nothing arrives for so long that chance cannot be the reason.

    For a count of events a window. At the lowest rate of late, a Poisson process would be this
    silent with a probability below `alpha`; and the silence is longer than `patience` times the
    longest that ended by itself, so traffic that pauses now and then is given its pauses. Gives
    nothing before `warm_up` windows with traffic. (P(no event in t) = exp(-rate t).)

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, counts = Series("m", "1", "volume", ""), [50.0] * 40 + [0.0] * 3
    >>> past = [Sample(series, Window(60.0 * i, 60.0 * i + 60), c, 0) for i, c in enumerate(counts)]
    >>> [(f.at, f.expected) for f in Silence().update(Samples.of(past))]
    [(2520.0, 50.0), (2580.0, 50.0)]
    """

    name: ClassVar[str] = "silence"

    min_n: Annotated[int, msgspec.Meta(ge=0)] = setting(0, "events a window needs: none")
    for_windows: Count = setting(2, "windows in a row that must be silent and beyond the limit")
    alpha: Probability = setting(1e-9, "probability of such a silence by chance")
    patience: Positive = setting(2.0, "how many times the longest earlier silence it must last")
    warm_up: Count = setting(30, "windows with traffic before the first judgement")
    _seen: int = 0
    _rate: float = 0.0
    _low: float = 0.0
    _quiet: float = 0.0
    _longest: float = 0.0

    def judge(self, sample: Sample) -> Finding | None:
        seconds = sample.window.end - sample.window.start
        if not 0.0 < seconds < math.inf:
            return None
        if sample.value > 0.0:
            self._hear(bounded(sample.value), seconds)
            return None
        self._quiet = min(self._quiet + seconds, LONGEST)
        if self._seen < self.warm_up:
            return None
        missed = self._low * self._quiet
        least = max(-math.log(self.alpha), self._low * self.patience * self._longest)
        return self.sustained_finding(
            sample,
            missed > least,
            statistic=missed,
            threshold=least,
            expected=self._rate * seconds,
            direction="down",
        )

    def _hear(self, count: float, seconds: float) -> None:
        silence = 0.0 if self.firing else self._quiet
        self._run, self._quiet = 0, 0.0
        self._seen = min(self._seen + 1, max(self.warm_up, RECENT))
        weight = 1.0 / min(self._seen, RECENT)
        self._rate += weight * (count / (seconds + silence) - self._rate)
        days = min(seconds / DAY, 30.0)
        low = self._low * 2.0**days if self._seen >= self.warm_up else math.inf
        self._low = min(self._rate, low) if self._low else self._rate
        self._longest = max(silence, self._longest * 2.0 ** (-days / 7.0))
