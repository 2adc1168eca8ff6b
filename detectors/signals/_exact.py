"""Sums of real numbers in integers, so that neither order nor grouping can change them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from watchkeeper.detectors.types import FloatArray, IntArray

STEPS = 1 << 20  # fixed-point steps a unit
LIMIT = 65_536.0  # units; values beyond count as LIMIT

_LIMB = 32  # bits of a limb
_LOWEST = 1126  # every float64 is a 53-bit integer times a power of two not below 2**-1126


def steps(units: FloatArray) -> IntArray:
    """Numbers in fixed point: NaN is 0, anything beyond LIMIT is LIMIT.

    One is at most 2**36 steps, so an int64 holds the sum of 2**27 (134 million) of them.
    """
    kept = np.clip(units, -LIMIT, LIMIT) * STEPS
    np.copyto(kept, 0.0, where=np.isnan(kept))
    return np.rint(kept, out=kept).astype(np.int64)


def limbs(values: FloatArray) -> IntArray:
    """The exact sum of finite numbers of any size, in limbs of 32 bits with room to add up.

    A float64 is an integer of 53 bits times a power of two. Cut at multiples of 2**32 it spreads
    over three limbs; 2**31 numbers may be added before an int64 limb could overflow.
    """
    return limbs_of(values, np.zeros(len(values), dtype=np.int64), 1)[0]


def limbs_of(values: FloatArray, group: IntArray, groups: int) -> list[IntArray]:
    """The same of each group of numbers; `group` is that of each."""
    if not len(values):
        return [np.zeros(0, dtype=np.int64)] * groups
    mantissa, exponent = np.frexp(values)
    whole = np.abs(mantissa * 2.0**53).astype(np.uint64)
    first, shift = np.divmod(exponent.astype(np.int64) - 53 + _LOWEST, _LIMB)
    low = (whole & np.uint64(0xFFFFFFFF)) << shift.astype(np.uint64)
    high = (whole >> np.uint64(_LIMB)) << shift.astype(np.uint64)
    width = np.full(groups, -3, dtype=np.int64)
    np.maximum.at(width, group, first)
    width += 3
    total = np.zeros((groups, int(width.max())), dtype=np.int64)
    sign = np.where(values < 0, -1, 1)
    for place, part in ((first, low), (first + 1, high)):
        here = sign * (part & np.uint64(0xFFFFFFFF)).astype(np.int64)
        np.add.at(total, (group, place), here)
        np.add.at(total, (group, place + 1), sign * (part >> np.uint64(_LIMB)).astype(np.int64))
    return [row[:n].copy() for row, n in zip(total, width.tolist(), strict=True)]


def about(summed: IntArray) -> float:
    """As `total`, to the nearest floats or so, and quickly.

    >>> about(limbs(np.array([1.5, 2.25])))
    3.75
    """
    places = _LIMB * np.arange(len(summed)) - _LOWEST
    return float(np.ldexp(summed.astype(np.float64), places).sum())


def total(summed: IntArray) -> Fraction:
    """The exact number that limbs stand for.

    >>> float(total(limbs(np.array([1e308, 1.5, -1e308]))))
    1.5
    """
    whole = sum(limb << (_LIMB * place) for place, limb in enumerate(summed.tolist()))
    return Fraction(whole, 1 << _LOWEST)
