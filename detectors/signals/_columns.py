"""Measures profiled columns, numeric and categorical, all of a kind together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import Self

import msgspec
import numpy as np

from watchkeeper.detectors.profile import (
    BINS,
    CATEGORIES,
    CategoricalProfile,
    NumericProfile,
    Profile,
)
from watchkeeper.detectors.signals._exact import STEPS, steps
from watchkeeper.detectors.types import FloatArray, IntArray, ObjectArray

# The columns of a row that `Numbers.measure` gives; the bins follow.
MISSING, OUTSIDE, SUM, FIRST_BIN = 0, 1, 2, 3

# The bins of a row that `Categories.measure` gives; the kept categories come before.
OTHER, ABSENT = CATEGORIES, CATEGORIES + 1

_ROOM = 0.05  # of the reference's range, on both sides


@lru_cache(maxsize=256)
def digest(profile: Profile) -> str:
    """Names what a part was measured against: parts of different references never mix."""
    return hashlib.blake2b(msgspec.msgpack.encode(profile), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numeric columns with what their profiles say, ready for arithmetic."""

    names: tuple[str, ...]
    centre: FloatArray
    scale: FloatArray
    low: FloatArray
    high: FloatArray
    edges: tuple[FloatArray, ...]

    @classmethod
    def of(cls, profiles: Sequence[NumericProfile]) -> Self:
        """Prepares the columns of these profiles, in their order."""
        room = [(p.high / 2 - p.low / 2) * 2 * _ROOM for p in profiles]
        return cls(
            names=tuple(p.name for p in profiles),
            centre=_upright([p.centre for p in profiles]),
            scale=_upright([p.scale for p in profiles]),
            low=_upright([p.low - r for p, r in zip(profiles, room, strict=True)]),
            high=_upright([p.high + r for p, r in zip(profiles, room, strict=True)]),
            edges=tuple(np.array(p.edges, dtype=np.float64) for p in profiles),
        )

    def measure(self, columns: Mapping[str, FloatArray], n: int) -> IntArray:
        """One row a column: missing, outside the range, sum in fixed point, then its bins."""
        values = np.full((len(self.names), n), np.nan)
        for row, name in enumerate(self.names):
            if name in columns:
                values[row] = columns[name]
        result = np.zeros((len(self.names), FIRST_BIN + BINS), dtype=np.int64)
        with np.errstate(over="ignore"):  # what is too far away counts as LIMIT
            result[:, SUM] = steps((values - self.centre) / self.scale).sum(axis=1)
        result[:, OUTSIDE] = np.count_nonzero((values < self.low) | (values > self.high), axis=1)
        result[:, MISSING] = np.count_nonzero(np.isnan(values), axis=1)
        for row, edges in enumerate(self.edges):
            bins = result[row, FIRST_BIN:]
            bins += np.bincount(np.searchsorted(edges, values[row], side="right"), minlength=BINS)
            bins[len(edges)] -= result[row, MISSING]  # NaN sorts above every edge
        return result


@dataclass(frozen=True, slots=True)
class Categories:
    """Categorical columns with the codes of their kept categories."""

    names: tuple[str, ...]
    codes: tuple[dict[str | None, int], ...]

    @classmethod
    def of(cls, profiles: Sequence[CategoricalProfile]) -> Self:
        """Prepares the columns of these profiles, in their order."""
        codes = tuple(
            {None: ABSENT, **{category: i for i, category in enumerate(p.categories)}}
            for p in profiles
        )
        return cls(names=tuple(p.name for p in profiles), codes=codes)

    def measure(self, columns: Mapping[str, ObjectArray], n: int) -> IntArray:
        """One row a column: how often each kept category, any other, and none at all."""
        result = np.zeros((len(self.names), ABSENT + 1), dtype=np.int64)
        for row, (name, codes) in enumerate(zip(self.names, self.codes, strict=True)):
            if name in columns:
                coded = map(codes.get, columns[name].tolist(), repeat(OTHER))
                result[row] = np.bincount(
                    np.fromiter(coded, dtype=np.int64, count=n), minlength=ABSENT + 1
                )
            else:
                result[row, ABSENT] = n
        return result


def mean(row: IntArray, profile: NumericProfile, n: int) -> float:
    """The mean of a measured column's n values, in its own unit."""
    return profile.centre + profile.scale * (int(row[SUM]) / n / STEPS)


def histogram(row: IntArray, profile: NumericProfile) -> IntArray:
    """A measured numeric column's counts over the bins of its profile."""
    return row[FIRST_BIN : FIRST_BIN + len(profile.counts)]


def category_counts(row: IntArray, profile: CategoricalProfile) -> IntArray:
    """A measured categorical column's counts over the kept categories and all others."""
    return np.append(row[: len(profile.categories)], row[OTHER])


def reference_counts(profile: NumericProfile | CategoricalProfile) -> IntArray:
    """The reference's counts over the same bins."""
    if isinstance(profile, NumericProfile):
        return np.array(profile.counts, dtype=np.int64)
    return np.array([*profile.counts, profile.other], dtype=np.int64)


def _upright(numbers: Sequence[float]) -> FloatArray:
    return np.array(numbers, dtype=np.float64).reshape(-1, 1)
