"""Closed forms that several detectors share. All are total: odd numbers give finite answers."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

LARGE = 1e150  # its square is still finite
LARGEST_SCORE = 1e6
_PSEUDO = 0.25  # events added to an expected share, so that a share of 0 can be departed from


def bounded(value: float) -> float:
    """The value within +-LARGE, where squares and sums are finite."""
    return min(LARGE, max(-LARGE, value))


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
    return (min(1.0, max(0.0, share)) * n + _PSEUDO) / (n + 2 * _PSEUDO)


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
    return abs(x - expected) / root if root > 1e-3 else share_error(expected, n)


def _term(x: float, p: float) -> float:
    return x * math.log(x / p) if x > 0.0 else 0.0


@cache
def chi_square_limit(alpha: float, freedom: int) -> float:
    """The value a chi-square variable passes with probability alpha (Wilson-Hilferty)."""
    z = -NormalDist().inv_cdf(alpha)
    part = 2.0 / (9.0 * freedom)
    return float(freedom * max(0.0, 1.0 - part + z * math.sqrt(part)) ** 3)
