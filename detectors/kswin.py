"""Kolmogorov-Smirnov windowing, from river."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from river.drift import KSWIN

from watchkeeper.detectors.river_detector import Drift, RiverDetector
from watchkeeper.detectors.setting import Count, Probability, setting


@dataclass
class Kswin(RiverDetector):
    """Finds a change of the whole distribution, of its spread too, among the last windows.

    The newest are compared with as many of the older ones (Raab, Heusinger and Schleif,
    Neurocomputing 416, 2020), chosen by a seed: the same choice whenever it is made.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "latency", "p50"), [1.0, 1.1] * 80 + [2.0, 2.1] * 20
    >>> past = [Sample(series, Window(i, i + 1), v, 100) for i, v in enumerate(values)]
    >>> [f.direction for f in Kswin().update(Samples.of(past))]
    ['up']
    """

    name: ClassVar[str] = "kswin"

    memory: Count = setting(200, "inputs that are kept; beyond it the older half is forgotten")
    alpha: Probability = setting(1e-5, "probability of a window beyond the level by chance")
    window_size: Count = setting(100, "windows that are looked at")
    stat_size: Count = setting(30, "newest of them that are compared with the older")
    seed: int = setting(1, "decides which of the older windows are compared")

    def fresh(self) -> Drift:
        river: Drift = KSWIN(
            alpha=self.alpha,
            window_size=self.window_size,
            stat_size=self.stat_size,
            seed=self.seed + len(self._inputs),
            window=self._inputs[1 - self.window_size :],
        )
        return river

    def living(self) -> Drift:
        return self.fresh()  # all it needs is its window: nothing is fed to it again

    def evidence(self, river: Drift) -> tuple[float, float]:
        chance: float = river.p_value  # type: ignore[attr-defined]
        return -math.log10(max(chance, 1e-300)), -math.log10(self.alpha)
