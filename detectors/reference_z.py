"""Distance from the reference, in standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from watchkeeper.detectors.score_detector import ScoreDetector
from watchkeeper.detectors.setting import NonNegative, setting
from watchkeeper.detectors.types import Finding, Sample


@dataclass
class ReferenceZ(ScoreDetector):
    """Fires while the value is away from the reference's by more than chance and by enough.

    For shares and means that the reference knows; silent where it does not. The z-test of a mean
    or a share (for shares as the root of the likelihood ratio) with a smallest effect of interest
    (Lakens, Equivalence Tests, Soc. Psychol. Personal. Sci. 8, 2017).

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, detector = Series("m", "1", "features", "age:mean"), ReferenceZ(for_windows=1)
    >>> drifted = Sample(series, Window(0.0, 60.0), value=44.0, n=100, stderr=0.5, expected=40.0)
    >>> [f.statistic for f in detector.update(Samples.of([drifted]))]
    [8.0]
    """

    name: ClassVar[str] = "reference_z"

    min_effect: NonNegative = setting(0.0, "smallest change that matters, in standard deviations")

    def judge(self, sample: Sample) -> Finding | None:
        if not math.isfinite(sample.expected):
            return None
        normal = self.scaled(sample.expected)
        error = self.noise_of(sample, normal)
        if error == 0.0 and sample.stderr != 0.0:
            return None
        spread = self.error_of(sample, normal) * math.sqrt(max(sample.n, 1))
        error = max(error, self.min_effect * spread / self.threshold)
        change = self.scaled(sample.value) - normal
        return self.scored(sample, self.score(change, normal, error), sample.expected)
