"""Profiles of one column: of numbers by its bins, of text by its categories."""

from __future__ import annotations

from collections import Counter

import numpy as np

from watchkeeper.detectors.profile import BINS, CATEGORIES, CategoricalProfile, NumericProfile
from watchkeeper.detectors.types import FloatArray, ObjectArray

_HUGE = float(np.finfo(np.float64).max)
_SD_PER_IQR = 0.741301109252801  # of a normal distribution
_DIGITS = (24, 16)  # binary ones of an edge, where it need have no more: 24 fit four bytes
_WIDEST = 64.0  # a column's standard deviation is at most that many scales


def numeric_profile(name: str, column: FloatArray) -> NumericProfile:
    """Profiles one numeric column; NaN and infinities count as missing."""
    values = np.sort(column[np.isfinite(column)])
    missing = len(column) - len(values)
    if not len(values):
        return NumericProfile(
            name, len(column), missing, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, edges=(), counts=(0,)
        )
    centre = float(values[(len(values) - 1) // 2])
    scale = _scale(values, centre)
    with np.errstate(over="ignore"):
        z = (values / 2 - centre / 2) / scale * 2
    edges = _edges(values)
    bins = np.searchsorted(np.array(edges), values, side="right")
    return NumericProfile(
        name=name,
        n=len(column),
        missing=missing,
        centre=centre,
        scale=scale,
        low=float(values[0]),
        high=float(values[-1]),
        mean=_finite(centre + scale * float(z.mean())),
        sd=_finite(scale * float(z.std())),
        edges=edges,
        counts=tuple(np.bincount(bins, minlength=len(edges) + 1).tolist()),
    )


def categorical_profile(name: str, column: ObjectArray) -> CategoricalProfile:
    """Profiles one categorical column; None counts as missing."""
    counted = Counter(column.tolist())
    missing = counted.pop(None, 0)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return CategoricalProfile(
        name=name,
        n=len(column),
        missing=missing,
        categories=tuple(category for category, _ in ranked[:CATEGORIES]),
        counts=tuple(count for _, count in ranked[:CATEGORIES]),
        other=sum(count for _, count in ranked[CATEGORIES:]),
    )


def _scale(values: FloatArray, centre: float) -> float:
    """A spread that outliers hardly move, never zero; halves keep the largest numbers finite."""
    last = len(values) - 1
    spread = float(values[last - last // 4] / 2 - values[last // 4] / 2) * 2 * _SD_PER_IQR
    off = values / 2 - centre / 2
    largest = float(np.abs(off).max())
    sd = 2 * largest * float(np.sqrt(np.mean((off / largest) ** 2))) if largest else 0.0
    scale = max(_finite(spread), _finite(sd) / _WIDEST)
    return scale or abs(centre) or 1.0


def _edges(values: FloatArray) -> tuple[float, ...]:
    """Edges between the values where they are few, else at quantiles of the sorted values."""
    distinct = np.unique(values)
    if len(distinct) <= BINS:
        return tuple(_between(distinct[:-1], distinct[1:]).tolist())
    cuts = values[np.arange(1, BINS) * len(values) // BINS]
    above, repeats = np.unique(cuts, return_counts=True)
    at = np.searchsorted(distinct, above)
    own = at[(repeats > 1) & (at + 1 < len(distinct))] + 1  # a frequent value has its own bin
    at = np.unique(np.concatenate((at[at > 0], own)))
    return tuple(_of_four_bytes(_between(distinct[at - 1], distinct[at]), values).tolist())


def _between(lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Numbers above the lower and not above the upper values, half-way where there is room, and
    rounded where that leaves them between: a long number takes memory and says no more."""
    middle = lower / 2 + upper / 2
    cut = np.where((middle > lower) & (middle <= upper), middle, upper)
    part, power = np.frexp(cut)
    for digits in _DIGITS:
        shorter = np.ldexp(np.round(np.ldexp(part, digits)), power - digits)
        cut = np.where((shorter > lower) & (shorter <= upper), shorter, cut)
    return cut


def _of_four_bytes(edges: FloatArray, values: FloatArray) -> FloatArray:
    """The edges in single precision, but for those that would leave more than a tenth of a bin of
    the sorted values on their other side."""
    with np.errstate(over="ignore"):
        short = edges.astype(np.float32).astype(np.float64)
    moved = np.abs(np.searchsorted(values, short) - np.searchsorted(values, edges))
    near = np.isfinite(short) & (moved <= len(values) // (10 * BINS))
    return np.unique(np.where(near, short, edges))


def _finite(number: float) -> float:
    return min(max(number, -_HUGE), _HUGE)
