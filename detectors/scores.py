"""Closed forms that several detectors share. All are total: odd numbers give finite answers."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

LARGE = 1e150  # its square is still finite
LARGEST_SCORE = 1e6
LARGEST_SINGLE = float(np.finfo(np.float32).max)
STEP, LEAST_STEP = 2.0**-23, 2.0**-149  # of single precision: of a number, and of those near 0
PSEUDO = 0.25  # events added to an expected share, so that a share of 0 can be departed from


def bounded(value: float) -> float:
    """The value within +-LARGE, where squares and sums are finite."""
    return min(LARGE, max(-LARGE, value))


def single(value: float) -> float:
    """The value as it is remembered in single precision, within the largest such numbers."""
    return float(np.float32(min(LARGEST_SINGLE, max(-LARGEST_SINGLE, value))))


def rounding(normal: float, times: float = 1.0) -> float:
    """A step of single precision near a number, so many times: a change by that much is none."""
    return abs(normal) * STEP * times + LEAST_STEP


def known(error: float) -> float:
    """A standard error, or 0 where it is unknown or no number."""
    return error if 0.0 <= error < math.inf else 0.0


def score(change: float, unit: float) -> float:
    """The change in units of noise, within +-LARGEST_SCORE."""
    if change == 0.0:
        return 0.0
    if unit <= abs(change) / LARGEST_SCORE:
        return math.copysign(LARGEST_SCORE, change)
    return change / unit


def normal_cdf(z: float) -> float:
    """The share of a standard normal below z."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def expected_share(share: float, n: int) -> float:
    """A share moved a quarter of an event towards the middle, so that it is neither 0 nor 1."""
    return (min(1.0, max(0.0, share)) * n + PSEUDO) / (n + 2 * PSEUDO)


def share_error(expected: float, n: int) -> float:
    """The standard error of a share of n events when the true share is the expected one."""
    p = expected_share(expected, n)
    return math.sqrt(p * (1.0 - p) / max(n, 1))


def share_noise(value: float, expected: float, n: int) -> float:
    """The error by which a measured share's distance from the expected one is that many sigma.

    It makes the score the signed root of the likelihood ratio, which has the right tails also
    where only a few events are expected (McCullagh and Nelder, Generalized Linear Models, 2.4).
    """
    p, x = expected_share(expected, n), min(1.0, max(0.0, value))
    likelihood = _term(x, p) + _term(1.0 - x, 1.0 - p)
    root = math.sqrt(max(0.0, 2.0 * n * likelihood))
    change = abs(x - expected)
    return change / root if change > 0.0 and root > 1e-3 else share_error(expected, n)


def _term(x: float, p: float) -> float:
    return x * math.log(x / p) if x > 0.0 else 0.0


@lru_cache(maxsize=1024)
def chi_square_limit(alpha: float, freedom: int) -> float:
    """The value that a chi-square variable passes with probability alpha."""
    low, high = 0.0, 10.0 * freedom - 4.0 * math.log(alpha)
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if chi_square_tail(middle, freedom) > alpha else (low, middle)
    return high


def chi_square_tail(value: float, freedom: int) -> float:
    """The probability that a chi-square variable passes the value, by its finite sum."""
    half = value / 2.0
    if half <= 0.0:
        return 1.0
    exp, log = math.exp, math.log(half)
    tail = sum([exp(power * log - below - half) for power, below in _powers(freedom)])
    return tail + (math.erfc(math.sqrt(half)) if freedom % 2 else 0.0)


@lru_cache(maxsize=128)
def _powers(freedom: int) -> list[tuple[float, float]]:
    """Of each term of the sum its power, and the logarithm of what it is divided by."""
    powers = [j + freedom % 2 / 2.0 for j in range(freedom // 2)]
    return [(power, math.lgamma(power + 1.0)) for power in powers]
