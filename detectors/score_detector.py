"""Base of detectors that measure a window's distance from a normal value in units of noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

from watchkeeper.detectors.level_detector import LevelDetector
from watchkeeper.detectors.scores import bounded, known, score, share_error, share_noise
from watchkeeper.detectors.setting import NonNegative, Positive, setting
from watchkeeper.detectors.types import Direction, Finding, Sample

TINY, HUGE = 1e-300, 1e300


@dataclass
class ScoreDetector(LevelDetector):
    """The settings of a score: how far, in which direction, and how much is worth a finding.

    A change smaller than `min_change` and `min_ratio` never passes the threshold, however sure
    it is: they are floors under the noise by which the change is divided.
    """

    direction: Direction = setting("either", "which changes matter: up, down or either")
    threshold: Positive = setting(5.0, "units of noise a change must pass")
    min_change: NonNegative = setting(0.0, "smallest change that matters, in the value's unit")
    min_ratio: NonNegative = setting(0.0, "smallest change that matters, as a share of normal")
    share: bool = setting(False, "the value is a share of n events; its noise is binomial")
    log: bool = setting(False, "judges ratios: for positive values with a long tail")

    def scaled(self, value: float) -> float:
        """The value on the scale on which it is judged: its logarithm if `log`."""
        return math.log(max(value, TINY)) if self.log else bounded(value)

    def plain(self, scaled: float) -> float:
        """The value of a number on the scale of judgement."""
        return math.exp(min(scaled, 700.0)) if self.log else scaled

    def noise_of(self, sample: Sample, normal: float) -> float:
        """The noise of one window where `normal` is true, exact far from it; 0 if unknown."""
        if self.share and sample.n > 0:
            return share_noise(sample.value, normal, sample.n)
        return self._error(sample)

    def error_of(self, sample: Sample, normal: float) -> float:
        """The standard error of one window where `normal` is true; 0 if unknown."""
        if self.share and sample.n > 0:
            return share_error(normal, sample.n)
        return self._error(sample)

    def unit(self, normal: float, noise: float) -> float:
        """The noise, of which the smallest change that matters is a floor."""
        matters = max(self.min_change, self.min_ratio * abs(normal))
        if self.log:
            matters = math.log1p(self.min_ratio)
        return max(noise, min(matters / self.threshold, HUGE))

    def score(self, change: float, normal: float, noise: float) -> float:
        """The change in such units."""
        return score(change, self.unit(normal, noise))

    def scored(self, sample: Sample, scored: float, expected: float) -> Finding | None:
        """The finding of a window with this score, if it is one."""
        statistic = {"up": scored, "down": -scored}.get(self.direction, abs(scored))
        threshold = self.limit(self.threshold)
        return self.sustained_finding(
            sample,
            statistic > threshold,
            statistic=statistic,
            threshold=threshold,
            expected=expected,
            direction="up" if scored > 0 else "down",
        )

    def _error(self, sample: Sample) -> float:
        error = known(sample.stderr)
        return min(error / max(sample.value, TINY), HUGE) if self.log else error
