"""Takes the memory out of a series, where it has one, and watches whether that holds.

A value that resembles the one before tells less than a fresh one. Where a test at the beginning
says so, an autoregression of order 1 is fitted as values come, and what it does not explain goes
on to be ranked. Whether the ranks are free of correlation is watched all the time: false alarms
are as rare as asked for only where they are.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.scores import LARGE

SLOWEST = 1e-4  # share of a moment that the newest value makes up
MOST_MEMORY = 0.95
LAG_LIMIT = 2.0  # standard errors beyond which values count as correlated
FAR = 8.0  # standard deviations beyond which a value is learned as if it were there
RANK_SLOWEST = 1.0 / 512
RANK_LIMIT = 4.5  # standard errors beyond which ranks are correlated
ENOUGH_RANKS = 128

UNTESTED, WHITE, WHITENED = 0, 1, 2  # stages


class Calibration(IntEnum):
    """Whether false alarms of a series are as rare as its threshold says."""

    LEARNING = 0
    CALIBRATED = 1
    NOT_CALIBRATED = 2


class Moments:
    """Names of the fields of one set of running moments."""

    def __init__(self, prefix: str) -> None:
        names = ("mean", "variance", "covariance", "last")
        self.mean, self.variance, self.covariance, self.last = (prefix + n for n in names)


VALUES, RANKS = Moments(""), Moments("rank_")


def bounded(x: FloatArray) -> FloatArray:
    """The values within +-LARGE, where squares are finite; -0 as 0."""
    return np.minimum(np.maximum(x, -LARGE), LARGE) + 0.0


def memory_of(variance: FloatArray, covariance: FloatArray) -> FloatArray:
    """The share of a value's distance from the mean that the next one keeps, within +-0.95."""
    with np.errstate(all="ignore"):
        share = np.where(variance > 0.0, covariance / variance, 0.0)
    return np.minimum(np.maximum(share, -MOST_MEMORY), MOST_MEMORY)


def moved(
    old: tuple[FloatArray, ...], x: FloatArray, seen: IntArray, slowest: float
) -> tuple[FloatArray, ...]:
    """Running mean, variance, lag-1 covariance and newest distance, with one value more.

    `seen` counts the values before. Beyond the 20th a value counts as at most `FAR` away.
    """
    mean, variance, covariance, last = old
    rate = np.maximum(1.0 / (seen + 1).astype(np.float64), slowest)
    far = np.where(seen > 20, FAR * np.sqrt(variance), LARGE)
    far = np.where(far > 0.0, far, LARGE)
    change = np.minimum(np.maximum(x - mean, -far), far)
    new_mean = mean + rate * change
    new_variance = (1.0 - rate) * (variance + rate * (change * change))
    new_covariance = covariance + rate * (change * last - covariance)
    change = np.where(seen == 0, 0.0, change)
    return new_mean, new_variance, np.where(seen == 0, 0.0, new_covariance), change


def correlated(
    variance: FloatArray, covariance: FloatArray, seen: FloatArray | IntArray, limit: float
) -> BoolArray:
    """Whether the lag-1 correlation of so many values is that many standard errors from 0."""
    share = memory_of(variance, covariance)
    return np.asarray(share * share * seen > limit * limit)


def calibration(variance: FloatArray, covariance: FloatArray, bets: IntArray) -> IntArray:
    """What is known of each series, as numbers of `Calibration`."""
    seen = np.minimum(bets, 2.0 / RANK_SLOWEST)
    bad = correlated(variance, covariance, seen, RANK_LIMIT)
    known = np.where(bad, Calibration.NOT_CALIBRATED, Calibration.CALIBRATED)
    return np.where(bets < ENOUGH_RANKS, Calibration.LEARNING, known).astype(np.int64)
