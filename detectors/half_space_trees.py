"""Half-space trees over the newest windows, from river."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from typing import Any, ClassVar

from river.anomaly import HalfSpaceTrees as River

from watchkeeper.detectors.river_detector import FARTHEST, Drift, RiverDetector
from watchkeeper.detectors.setting import Count, Probability, setting


@dataclass
class HalfSpaceTrees(RiverDetector):
    """Finds windows in a row that are unlike any others (Tan, Ting and Liu, IJCAI 2011).

    Trees of random cuts over the last `lags` windows give a score, which is compared with the
    scores of before: `alpha` bounds the share of windows that score as high by chance (conformal
    prediction; Vovk et al., Algorithmic Learning in a Random World, 2005). Nothing is found before
    there are enough scores to tell.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "latency", "p50"), [1.0, 1.1, 1.3] * 200 + [9.0] * 4
    >>> past = [Sample(series, Window(i, i + 1), v, 100) for i, v in enumerate(values)]
    >>> [f.at for f in HalfSpaceTrees(alpha=0.005).update(Samples.of(past))]
    [601.0]
    """

    name: ClassVar[str] = "half_space_trees"

    alpha: Probability = setting(0.001, "share of windows that score as high by chance")
    lags: Count = setting(4, "newest windows that make a point")
    trees: Count = setting(10, "trees of random cuts")
    memory: Count = setting(2_000, "inputs that are kept; beyond it the older half is forgotten")
    seed: int = setting(1, "decides the cuts")

    def fresh(self) -> Drift:
        trees = River(n_trees=self.trees, window_size=100, seed=self.seed)
        return _Scores(trees, self.lags, self.alpha)

    def put(self, z: float) -> float:
        return 0.5 + z / (2.0 * FARTHEST)

    def evidence(self, river: Drift) -> tuple[float, float]:
        chance: float = river.chance  # type: ignore[attr-defined]
        return -math.log10(chance), -math.log10(self.alpha)


@dataclass
class _Scores:
    """The trees' score of each point, by the share of earlier ones that were as high."""

    trees: Any
    lags: int
    alpha: float
    chance: float = 1.0
    _point: deque[float] = field(default_factory=deque)
    _past: list[float] = field(default_factory=list)

    @property
    def drift_detected(self) -> bool:
        return self.chance <= self.alpha

    def update(self, x: float) -> None:
        self._point.append(x)
        if len(self._point) < self.lags:
            return
        features = dict(enumerate(self._point))
        score = float(self.trees.score_one(features))
        self.trees.learn_one(features)
        self._point.popleft()
        above = len(self._past) - bisect_left(self._past, score)
        self.chance = (above + 1) / (len(self._past) + 1)
        insort(self._past, score)
