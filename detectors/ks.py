"""The two-sample Kolmogorov-Smirnov test on binned values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.histograms import histograms
from watchkeeper.detectors.level_detector import LevelDetector
from watchkeeper.detectors.setting import NonNegative, Probability, setting
from watchkeeper.detectors.types import Finding, Sample


@dataclass
class Ks(LevelDetector):
    """Fires while the largest gap between the two distribution functions is beyond chance.

    For ordered bins: a shift of the mean shows in it better than in `psi`. Bins can only hide a
    gap, so the test keeps its level (Smirnov, Ann. Math. Stat. 19, 1948).

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, old, new = Series("m", "1", "features", "a:histogram"), [500, 500], [240, 60]
    >>> window = Sample(series, Window(0, 60), 0.0, 300, counts=np.array(new),
    ...     expected_counts=np.array(old))
    >>> [round(f.statistic, 2) for f in Ks().update(Samples.of([window]))]
    [0.3]
    """

    name: ClassVar[str] = "ks"

    alpha: Probability = setting(1e-6, "probability of a window beyond the level by chance")
    min_effect: NonNegative = setting(0.1, "smallest gap that matters")

    def judge(self, sample: Sample) -> Finding | None:
        both = histograms(sample)
        if both is None:
            return None
        below, usual = np.cumsum(both.seen), np.cumsum(both.expected)
        gap = float(np.max(np.abs(below / below[-1] - usual / usual[-1])))
        chance = math.sqrt(-math.log(self.chance(self.alpha) / 2.0) / 2.0 * both.sizes)
        limit = max(self.limit(self.min_effect), chance)
        return self.sustained_finding(sample, gap > limit, statistic=gap, threshold=limit)
