"""Drift detection by McDiarmid's inequality on weighted averages, from river."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from river.drift.binary import HDDMW as River

from watchkeeper.detectors.river_detector import Drift, RiverDetector, likeliest_cut
from watchkeeper.detectors.scores import normal_cdf
from watchkeeper.detectors.setting import Probability, setting


@dataclass
class HddmW(RiverDetector):
    """Finds a gradual change of the mean (Frias-Blanco et al., IEEE TKDE 27, 2015, test W).

    Newer windows weigh more. It gets the normal distribution's share below the score, since the
    inequality is about 0..1. The statistic is the difference of the two means at the likeliest
    cut, in standard errors.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "latency", "p50"), [1.0, 1.1] * 60 + [2.0, 2.1] * 20
    >>> past = [Sample(series, Window(i, i + 1), v, 100) for i, v in enumerate(values)]
    >>> [f.direction for f in HddmW().update(Samples.of(past))]
    ['up']
    """

    name: ClassVar[str] = "hddm_w"

    confidence: Probability = setting(0.001, "probability of a finding by chance, at each look")
    weight: Probability = setting(0.05, "weight of the newest window in the average")

    def fresh(self) -> Drift:
        river: Drift = River(  # type: ignore[no-untyped-call]
            drift_confidence=self.confidence,
            warning_confidence=self.confidence,
            lambda_val=self.weight,
            two_sided_test=True,
        )
        return river

    def put(self, z: float) -> float:
        return normal_cdf(z)

    def evidence(self, river: Drift) -> tuple[float, float]:
        return likeliest_cut(self._inputs), math.sqrt(2.0 * math.log(1.0 / self.confidence))
