"""The Jensen-Shannon distance, with a level that knows the sample sizes."""

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
class JensenShannon(LevelDetector):
    """Fires while the Jensen-Shannon distance (0 to 1) is beyond chance and `min_effect`.

    Like `psi`, but bounded, and finite for categories that one side has never seen. For small
    differences the divergence is an eighth of chi-square's, which gives its level (Lin, Divergence
    Measures Based on the Shannon Entropy, IEEE Trans. Inf. Theory 37, 1991).

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, old, new = Series("m", "1", "features", "a:histogram"), [500, 500], [240, 60]
    >>> window = Sample(series, Window(0, 60), 0.0, 300, counts=np.array(new),
    ...     expected_counts=np.array(old))
    >>> [round(f.statistic, 2) for f in JensenShannon().update(Samples.of([window]))]
    [0.27]
    """

    name: ClassVar[str] = "jensen_shannon"

    alpha: Probability = setting(1e-6, "probability of a window beyond the level by chance")
    min_effect: NonNegative = setting(0.13, "smallest distance that matters")

    def judge(self, sample: Sample) -> Finding | None:
        both = histograms(sample)
        if both is None:
            return None
        p, q = both.shares
        middle = (p + q) / 2.0
        nats = float(np.sum(p * np.log(p / middle) + q * np.log(q / middle))) / 2.0
        distance = math.sqrt(max(0.0, nats) / math.log(2.0))
        chance = math.sqrt(both.chance(self.chance(self.alpha)) / 8.0 / math.log(2.0))
        limit = max(self.limit(self.min_effect), chance)
        return self.sustained_finding(sample, distance > limit, statistic=distance, threshold=limit)
