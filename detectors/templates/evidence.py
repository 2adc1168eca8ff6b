"""Evidence of change in counts a window, of many templates at once, for one budget.

A count is ranked among those of the windows before it; where nothing has changed, the rank is
uniform whatever the counts' distribution. Betting on the rank gives a factor whose mean is then at
most 1, and R = (1 + R) * factor is a Shiryaev-Roberts e-detector: a mean of such R over any number
of templates reaches A not more often than once in A windows on average (Shin, Ramdas and Rinaldo,
E-detectors, New England Journal of Statistics in Data Science 2, 2024; ranks: Vovk, Gammerman and
Shafer, Algorithmic Learning in a Random World, 2005).

Whether a template's count or its share of all lines is ranked is decided by which has varied less
so far. Where there are far more or fewer lines than usual, a count that only follows them is no
news, nor is a share that only makes room: the lesser of both scores is bet on then.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from watchkeeper.detectors.types import FloatArray, IntArray

Reals = npt.NDArray[np.floating[Any]]

SHIFTS = np.array([0.5, 1.0, 2.0, 3.0])  # standard deviations of the normal score that are bet on
_LIMIT = 1e250  # of R: it is beyond every budget, and no infinity comes of it
_MASK = (1 << 64) - 1


def ranks(value: Reals, history: Reals, valid: IntArray, u: FloatArray) -> FloatArray:
    """The randomised rank of each value among its history, in (0, 1): shape (rows,).

    `history` has shape (rows, windows); of each row only the first `valid` hold values. `u` in
    (0, 1) decides ties, the value's with itself too.
    """
    known = np.arange(history.shape[1]) < valid[:, None]
    less = ((history < value[:, None]) & known).sum(axis=1)
    same = ((history == value[:, None]) & known).sum(axis=1)
    found: FloatArray = (less + u * (same + 1)) / (valid + 1)
    return np.clip(found, 1e-12, 1 - 1e-12)


def scores(rank: FloatArray) -> FloatArray:
    """Ranks as values of a standard normal distribution."""
    found: FloatArray = ndtri(rank)
    return found


def factors(up: FloatArray, down: FloatArray) -> FloatArray:
    """What bets on more and on less give: shape (rows, 2). Their means are at most 1 where `up` is
    at most, and `down` at least, a standard normal score."""
    raised = np.exp(np.outer(up, SHIFTS) - SHIFTS**2 / 2).mean(axis=1)
    lowered = np.exp(-np.outer(down, SHIFTS) - SHIFTS**2 / 2).mean(axis=1)
    return np.stack([raised, lowered], axis=1)


def grown(evidence: FloatArray, factor: FloatArray) -> FloatArray:
    """R after one more window: (1 + R) * factor, of each direction."""
    found: FloatArray = np.minimum((1.0 + evidence) * factor, _LIMIT)
    return found


def uniform(number: int, window: int) -> float:
    """A number in (0, 1) that hangs on nothing but these: splitmix64 (Steele, Lea and Flood,
    OOPSLA 2014)."""
    x = (number * 0x9E3779B97F4A7C15 + window * 0xD1B54A32D192ED03) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((x ^ (x >> 31)) + 0.5) / (_MASK + 1.0)


def more_than(k: int, expected: float) -> float:
    """The probability that a Poisson number of this mean is k or more."""
    if k <= 0:
        return 1.0
    if expected <= 0:
        return 0.0
    if expected > k:  # not a tail: exactness is not needed
        return 1.0
    term = math.exp(k * math.log(expected) - expected - math.lgamma(k + 1))
    total, i = 0.0, k
    while term > 1e-300 and i < k + 1_000:
        total += term
        i += 1
        term *= expected / i
        if term < total * 1e-12:
            break
    return min(total, 1.0)


def distance(p: FloatArray, q: FloatArray) -> float:
    """The Jensen-Shannon distance of two vectors of shares, in [0, 1]; 0 where one is empty."""
    if p.sum() <= 0 or q.sum() <= 0:
        return 0.0
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(each > 0, each * np.log2(each / middle), 0.0).sum() for each in (p, q)]
    return float(math.sqrt(min(max(sum(parts) / 2, 0.0), 1.0)))
