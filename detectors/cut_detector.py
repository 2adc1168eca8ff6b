"""Base of river's detectors that compare the mean before a cut with the mean after it."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from watchkeeper.detectors.river_detector import Drift, RiverDetector
from watchkeeper.detectors.scores import normal_cdf


@dataclass
class CutDetector(RiverDetector):
    """Gives river shares, which its inequalities are about, and tells what the best cut shows.

    The statistic is the difference of the two means at the likeliest cut, in standard errors.
    """

    @abstractmethod
    def limit(self) -> float:
        """About the statistic from which on river finds a change."""

    def put(self, z: float) -> float:
        """The normal distribution's share below the score, in 0..1."""
        return normal_cdf(z)

    def evidence(self, river: Drift) -> tuple[float, float]:
        return likeliest_cut(self._inputs), self.limit()


def likeliest_cut(inputs: list[float]) -> float:
    """The difference of the means before and after the likeliest cut, in standard errors."""
    x = np.array(inputs)
    cut, n = np.arange(1, len(x)), len(x)
    sums = np.cumsum(x)[:-1]
    gap = np.abs(sums / cut - (x.sum() - sums) / (n - cut))
    error = math.sqrt(max(float(x.var()), 1e-12)) * np.sqrt(1.0 / cut + 1.0 / (n - cut))
    return float(np.max(gap / error, initial=0.0))


def farthest_by_chance(probability: float) -> float:
    """The normal score that no more than this probability is beyond (Chernoff's bound)."""
    return math.sqrt(2.0 * math.log(1.0 / probability))
