"""Drift detection by Hoeffding's inequality on averages, from river."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from river.drift.binary import HDDMA as River

from watchkeeper.detectors.cut_detector import CutDetector, farthest_by_chance
from watchkeeper.detectors.river_detector import Drift
from watchkeeper.detectors.setting import Probability, setting


@dataclass
class HddmA(CutDetector):
    """Finds an abrupt change of the mean (Frias-Blanco et al., IEEE TKDE 27, 2015, test A).

    It gets the normal distribution's share below the score, since the inequality is about 0..1.
    The statistic is the difference of the two means at the likeliest cut, in standard errors.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "latency", "p50"), [1.0, 1.1] * 60 + [2.0, 2.1] * 20
    >>> past = [Sample(series, Window(i, i + 1), v, 100) for i, v in enumerate(values)]
    >>> [f.direction for f in HddmA().update(Samples.of(past))]
    ['up']
    """

    name: ClassVar[str] = "hddm_a"

    confidence: Probability = setting(1e-4, "probability of a finding by chance, at each look")

    def fresh(self) -> Drift:
        river: Drift = River(  # type: ignore[no-untyped-call]
            drift_confidence=self.confidence,
            warning_confidence=self.confidence,
            two_sided_test=True,
        )
        return river

    def limit(self) -> float:
        return farthest_by_chance(self.confidence)
