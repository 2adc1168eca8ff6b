"""The chi-square test of a window against its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.histograms import histograms
from watchkeeper.detectors.level_detector import LevelDetector
from watchkeeper.detectors.setting import NonNegative, Probability, setting
from watchkeeper.detectors.types import Finding, Sample


@dataclass
class ChiSquare(LevelDetector):
    """Fires while the two-sample chi-square statistic is beyond chance and the effect matters.

    For categories and for histograms alike. The effect is Cohen's w, which does not grow with the
    number of events: 0.1 is small, 0.3 medium, 0.5 large (Cohen, Statistical Power Analysis, 1988,
    chapter 7).

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, old, new = Series("m", "1", "features", "a:histogram"), [500, 500], [240, 60]
    >>> window = Sample(series, Window(0, 60), 0.0, 300, counts=np.array(new),
    ...     expected_counts=np.array(old))
    >>> [round(f.statistic) for f in ChiSquare().update(Samples.of([window]))]
    [85]
    """

    name: ClassVar[str] = "chi_square"

    alpha: Probability = setting(1e-6, "probability of a window beyond the level by chance")
    min_effect: NonNegative = setting(0.3, "smallest effect (Cohen's w) that matters")

    def judge(self, sample: Sample) -> Finding | None:
        both = histograms(sample)
        if both is None:
            return None
        n, m = both.seen.sum(), both.expected.sum()
        p, q = both.seen / n, both.expected / m
        together = np.maximum((both.seen + both.expected) / (n + m), 1e-300)
        statistic = float(np.sum((p - q) ** 2 / together)) / both.sizes
        matters = self.limit(self.min_effect) ** 2
        limit = max(matters, both.chance(self.chance(self.alpha))) / both.sizes
        return self.sustained_finding(
            sample, statistic > limit, statistic=statistic, threshold=limit
        )
