"""The closed forms of `detectors.scores` over arrays, with the same result to the last bit.

Sums, products, quotients and roots are rounded alike everywhere; logarithms and exponentials are
not, so these are taken one by one with `math`, where it is known that they are needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.scores import (
    LARGE,
    LARGEST_SCORE,
    LARGEST_SINGLE,
    LEAST_STEP,
    PSEUDO,
    STEP,
)

Numbers = TypeVar("Numbers", FloatArray, IntArray, BoolArray)


def least(first: FloatArray | float, second: FloatArray | float) -> FloatArray:
    """`min(first, second)` as Python has it where the first is a number."""
    return np.asarray(np.fmin(first, second))


def most(first: FloatArray | float, second: FloatArray | float) -> FloatArray:
    """`max(first, second)` as Python has it where the first is a number."""
    return np.asarray(np.fmax(first, second))


def each(function: Callable[[float], float], values: FloatArray) -> FloatArray:
    """A function of `math` of every value."""
    flat = np.fromiter(map(function, values.ravel().tolist()), np.float64, values.size)
    return flat.reshape(values.shape)


def bounded(values: FloatArray) -> FloatArray:
    """The values within +-LARGE, where squares and sums are finite."""
    return np.minimum(np.maximum(values, -LARGE), LARGE)


def single(values: FloatArray) -> FloatArray:
    """The values as they are remembered in single precision, within the largest such numbers."""
    held = np.minimum(np.maximum(values, -LARGEST_SINGLE), LARGEST_SINGLE)
    return held.astype(np.float32).astype(np.float64)


def rounding(normal: FloatArray, times: IntArray | float = 1.0) -> FloatArray:
    """A step of single precision near a number, so many times: a change by that much is none."""
    return np.abs(normal) * STEP * times + LEAST_STEP


def known(errors: FloatArray) -> FloatArray:
    """Standard errors, or 0 where they are unknown or no number."""
    return np.where((errors >= 0.0) & (errors < math.inf), errors, 0.0)


def within(change: FloatArray, limit: FloatArray) -> FloatArray:
    """The change, cut off at +-limit; whole where the limit is 0."""
    cut = np.minimum(np.maximum(change, -limit), limit)
    return np.where(limit > 0.0, cut, change)


def score(change: FloatArray, unit: FloatArray) -> FloatArray:
    """The change in units of noise, within +-LARGEST_SCORE."""
    far = unit <= np.abs(change) / LARGEST_SCORE
    scored = np.where(far, np.copysign(LARGEST_SCORE, change), change / unit)
    return np.where(change == 0.0, 0.0, scored)


def share_error(expected: FloatArray, n: IntArray) -> FloatArray:
    """The standard error of a share of n events when the true share is the expected one."""
    p = _expected_share(expected, n)
    return np.sqrt(p * (1.0 - p) / np.maximum(n, 1))


def share_noise(value: FloatArray, expected: FloatArray, n: IntArray) -> FloatArray:
    """The error by which a measured share's distance from the expected one is that many sigma."""
    p, x = _expected_share(expected, n), _share(value)
    likelihood = _term(x, p) + _term(1.0 - x, 1.0 - p)
    root = np.sqrt(most(0.0, 2.0 * n * likelihood))
    change = np.abs(x - expected)
    told = (change > 0.0) & (root > 1e-3)
    return np.where(told, change / root, share_error(expected, n))


def spread_of(variance: FloatArray, seen: IntArray) -> FloatArray:
    """The standard deviation by an estimate of the variance over so many windows."""
    return np.asarray(np.sqrt(variance * seen / np.maximum(seen - 1, 1)))


def _expected_share(share: FloatArray, n: IntArray) -> FloatArray:
    return (_share(share) * n + PSEUDO) / (n + 2 * PSEUDO)


def _share(values: FloatArray) -> FloatArray:
    return np.asarray(np.minimum(np.maximum(values, 0.0), 1.0))


def _term(x: FloatArray, p: FloatArray) -> FloatArray:
    some = x > 0.0
    result = np.zeros(x.shape)
    result[some] = x[some] * each(math.log, x[some] / p[some])
    return result


def spread(values: Numbers, shape: tuple[int, ...]) -> Numbers:
    """The values over the whole shape."""
    if values.shape == shape:
        return values
    whole = np.empty(shape, dtype=values.dtype)  # sooner made than a view that NumPy broadcasts
    whole[...] = values
    return whole


def filled(where: BoolArray, values: FloatArray) -> FloatArray:
    """An array that has these values where it is said, row by row, and NaN elsewhere."""
    result = np.full(where.shape, np.nan)
    result[where] = values
    return result
