"""The population stability index, with a level that knows the sample sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.histograms import histograms
from watchkeeper.detectors.level_detector import LevelDetector
from watchkeeper.detectors.setting import NonNegative, Probability, setting
from watchkeeper.detectors.types import Finding, Sample


@dataclass
class Psi(LevelDetector):
    """Fires while the population stability index is beyond chance and beyond `min_effect`.

    For histograms of features and scores. The index of two samples of n and m events of one
    distribution over B bins is near (1/n + 1/m) times chi-square with B - 1 degrees of freedom
    (Yurdakul, Statistical Properties of Population Stability Index, 2018).

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, old, new = Series("m", "1", "features", "a:histogram"), [500, 500], [240, 60]
    >>> window = Sample(series, Window(0, 60), 0.0, 300, counts=np.array(new),
    ...     expected_counts=np.array(old))
    >>> [round(f.statistic, 2) for f in Psi().update(Samples.of([window]))]
    [0.41]
    """

    name: ClassVar[str] = "psi"

    alpha: Probability = setting(1e-6, "probability of a window beyond the level by chance")
    min_effect: NonNegative = setting(0.1, "smallest index that matters")

    def judge(self, sample: Sample) -> Finding | None:
        both = histograms(sample)
        if both is None:
            return None
        p, q = both.shares
        index = float(np.sum((p - q) * np.log(p / q)))
        limit = max(self.limit(self.min_effect), both.chance(self.chance(self.alpha)))
        return self.sustained_finding(sample, index > limit, statistic=index, threshold=limit)
