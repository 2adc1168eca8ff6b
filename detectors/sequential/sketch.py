"""A mergeable sample of a stream, for quantiles of a reference that several readers learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.detectors.frames import FloatArray
from watchkeeper.detectors.sequential.chance import Words, lots

SIZE = 1_024


def _nothing() -> tuple[Words, FloatArray]:
    return np.empty(0, dtype=np.uint64), np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class QuantileSketch:
    """The values with the least lots, at most `SIZE`: a random sample without replacement.

    Every value has a lot of its own, so merging is a union: associative, commutative, and the same
    part merged twice counts once. A quantile's rank has a standard error of at most
    0.5 / sqrt(SIZE), 1.6 points (bottom-k sketches: Cohen and Kaplan, PODC 2007).
    """

    lots: Words
    values: FloatArray
    n: int = 0

    @classmethod
    def of(cls, values: FloatArray, key: int, first: int = 0) -> QuantileSketch:
        """The sketch of a part of a stream; `first` is the running number of its first value."""
        numbers = np.arange(first, first + len(values), dtype=np.uint64)
        finite = np.isfinite(values)
        keys = np.full(len(values), key, dtype=np.uint64)
        drawn = lots(keys, numbers, np.zeros(len(values), dtype=np.uint64))[finite]
        return cls._least(drawn, values[finite].astype(np.float64), int(finite.sum()))

    @classmethod
    def empty(cls) -> QuantileSketch:
        """The sketch of nothing."""
        return cls(*_nothing())

    def merge(self, other: QuantileSketch) -> QuantileSketch:
        """The sketch of both parts; `n` is right where they have no value in common."""
        drawn = np.concatenate([self.lots, other.lots])
        values = np.concatenate([self.values, other.values])
        return self._least(drawn, values, self.n + other.n)

    def quantiles(self, shares: FloatArray) -> FloatArray:
        """The quantiles of such shares; NaN of nothing."""
        if not len(self.values):
            return np.full(np.shape(shares), np.nan)
        ordered = np.sort(self.values)
        place = np.clip(shares, 0.0, 1.0) * (len(ordered) - 1)
        return np.asarray(ordered[np.rint(place).astype(np.int64)])

    @classmethod
    def _least(cls, drawn: Words, values: FloatArray, n: int) -> QuantileSketch:
        order = np.lexsort((values, drawn))
        drawn, values = drawn[order], values[order]
        new = np.concatenate([[True], (drawn[1:] != drawn[:-1]) | (values[1:] != values[:-1])])
        keep = np.flatnonzero(new[: len(drawn)])[:SIZE]
        return cls(drawn[keep], values[keep], n)
