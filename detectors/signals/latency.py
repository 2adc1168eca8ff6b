"""How long predictions took."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count, takewhile
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import (
    Frame,
    IntArray,
    Partial,
    PredictionFrame,
    Sample,
    Window,
)

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

ACCURACY = 0.01  # relative error of a quantile
_SHORTEST, _LONGEST = 1e-6, 1e5  # seconds; anything outside counts as these
_GROWTH = (1 + ACCURACY) / (1 - ACCURACY)
UPPER = np.array(list(takewhile(lambda s: s < _LONGEST, (_SHORTEST * _GROWTH**i for i in count()))))


class Latency:
    """Targets `p50`, `p95` and `p99` of `duration_s`, in seconds and within 1 %.

    Counts in logarithmic buckets (DDSketch: Masson, Rim and Lee, VLDB 2019). A bucket is found by
    comparison with fixed bounds, so that it cannot depend on how a logarithm is rounded. The
    standard error is half the distance between the order statistics one binomial standard
    deviation below and above the quantile's rank.
    """

    name: ClassVar[str] = "latency"
    watches: ClassVar[type[Frame]] = PredictionFrame

    def measure(self, frame: PredictionFrame, profile: Profile | None) -> Partial:
        given = frame.duration_s[np.isfinite(frame.duration_s)]
        if not len(given):
            return Partial()
        return Partial(buckets=np.bincount(np.searchsorted(UPPER, given)))

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        if not partial:
            return
        reached = np.cumsum(partial["buckets"])
        n = int(reached[-1])
        closed = Closed(model, version, self.name, window)
        for target, q in QUANTILES.items():
            rank, step = q * (n - 1), math.sqrt(n * q * (1 - q))
            value = _at_rank(reached, rank)
            spread = _at_rank(reached, rank + step) - _at_rank(reached, rank - step)
            yield closed.sample(target, value, n, stderr=max(spread / 2, ACCURACY * value))


def _at_rank(reached: IntArray, rank: float) -> float:
    """The duration at a rank counted from 0, as the middle of its bucket."""
    inside = min(max(math.floor(rank), 0), int(reached[-1]) - 1)
    return middle_of(int(np.searchsorted(reached, inside, side="right")))


def middle_of(bucket: int) -> float:
    """The duration in the middle of a bucket."""
    return _SHORTEST * _GROWTH**bucket * 2 / (1 + _GROWTH)
