"""The bets: what each of many kinds of drift would make of a rank, as tables over cells of ranks.

Without drift a rank is uniform on (0, 1), so a bet is the share that some drift puts into a cell
by the share that the cell has: a likelihood ratio whose mean without drift is exactly 1, with no
approximation by the cells. The kinds
together notice any change of a distribution (Shin, Ramdas and Rinaldo, E-detectors, NEJSDS 2,
2024): normal scores whose mean moves or whose spread changes; shapes of equal mean and variance:
skewed, of two peaks, flat, peaked; and waves on the ranks (Neyman's smooth tests, 1937).

The weights were chosen on simulated normal streams for short delays at shifts of 0.25, 0.5 and 1
sd, spreads of 1.3 and 0.7, and a shape of two peaks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.frames import FloatArray
from watchkeeper.detectors.types import Direction

CELLS = 1_024  # of ranks

_NORMAL = NormalDist()
_SURE = 0.9  # of a shape: the rest is no drift, so that a bet on it is never quite lost

# What is bet on, and with what weight: about 0.53 means, 0.38 spreads, 0.09 shapes.
_MEANS = ((0.18, 0.06), (0.25, 0.235), (0.5, 0.145), (1.0, 0.085))  # sd by which it moves
_SPREADS = ((0.7, 0.085), (0.85, 0.022), (1.3, 0.15), (1.5, 0.12), (2.0, 0.01))  # factors
_SKEWED = ((1, 0.014), (4, 0.027))  # gamma distributions of such orders, and their mirrors
_TWO_PEAKED = ((0.8, 0.012), (0.9, 0.015))  # sd between the middle and each peak
_FLAT, _PEAKED = 0.01, 0.012  # uniform and Laplace distributions
_WAVE = (4, 0.8, 0.017)  # half periods, height, weight: by which anything else shows

# By how much evidence is beyond a level on average when it passes it, whatever the data: ranks
# are uniform. Weights are larger by it, so that the average run length is the level itself.
_OVERSHOOT: dict[Direction, float] = {"either": 1.3, "up": 1.2, "down": 1.2}

Share = Callable[[float], float]  # the share of ranks below a rank under some drift


class Bets(NamedTuple):
    """`table` has shape (cells, kinds). `weights` (kinds,) are larger than 1 in all, by the mean
    overshoot: where evidence passes a level A, the run lengths before are A on average."""

    table: FloatArray
    weights: FloatArray

    @property
    def kinds(self) -> int:
        """How many drifts are bet on."""
        return len(self.weights)


@cache
def bets(direction: Direction = "either") -> Bets:
    """The bets on drift: of every kind, or only of the mean, up or down."""
    edges = [i / CELLS for i in range(CELLS + 1)]
    table = over(edges)
    weights = np.array(_weights(direction))
    return _sealed(Bets(table[:, weights > 0.0].copy(), weights[weights > 0.0]))


def over(edges: Sequence[float]) -> FloatArray:
    """The bets of all kinds on cells of ranks between such edges (0, ..., 1); an empty cell's
    is 1. Shape (cells, kinds)."""
    low, high = np.array(edges[:-1]), np.array(edges[1:])
    columns = [_ratios(each, low, high) for each in _drifts()]
    return np.ascontiguousarray(np.stack(columns, axis=1))


def _ratios(share: Share, low: FloatArray, high: FloatArray) -> FloatArray:
    below = np.array([share(u) for u in low.tolist()])
    beyond = np.array([share(u) for u in high.tolist()])
    width = high - low
    return np.where(width > 0.0, (beyond - below) / np.where(width > 0.0, width, 1.0), 1.0)


def _drifts() -> list[Share]:
    means = [partial(_moved, sign * mu) for mu, _ in _MEANS for sign in (1, -1)]
    spreads = [partial(_spread, s) for s, _ in _SPREADS]
    skewed = [partial(_shaped, partial(_gamma, k, sign)) for k, _ in _SKEWED for sign in (1, -1)]
    peaks = [partial(_shaped, partial(_two_peaks, d)) for d, _ in _TWO_PEAKED]
    shapes = [*skewed, *peaks, partial(_shaped, _flat), partial(_shaped, _peaked)]
    waves = [partial(_wave, _WAVE[0], sign * _WAVE[1]) for sign in (1, -1)]
    return [*means, *spreads, *shapes, *waves]


def _weights(direction: Direction) -> list[float]:
    """Of all drifts, in the order of `_drifts`; a direction leaves the means that go there."""
    signs = {"up": (1.0, 0.0), "down": (0.0, 1.0), "either": (0.5, 0.5)}[direction]
    weights = [w * sign for _, w in _MEANS for sign in signs]
    others = [w for _, w in _SPREADS]
    others += [w / 2 for _, w in _SKEWED for _ in range(2)]
    others += [w for _, w in _TWO_PEAKED]
    others += [_FLAT, _PEAKED, _WAVE[2] / 2, _WAVE[2] / 2]
    weights += [w if direction == "either" else 0.0 for w in others]
    total = sum(weights)
    return [w / total * _OVERSHOOT[direction] for w in weights]


def _moved(mu: float, u: float) -> float:
    return _NORMAL.cdf(_score(u) - mu)


def _spread(s: float, u: float) -> float:
    return _NORMAL.cdf(_score(u) / s)


def _wave(k: int, height: float, u: float) -> float:
    return u + height * math.sin(k * math.pi * u) / (k * math.pi)


def _shaped(shape: Share, u: float) -> float:
    """A distribution of mean 0 and variance 1 in place of the normal one."""
    if u <= 0.0 or u >= 1.0:
        return u
    return _SURE * shape(_score(u)) + (1.0 - _SURE) * u


def _gamma(order: int, sign: int, z: float) -> float:
    y = order + sign * z * math.sqrt(order)
    if y <= 0.0:
        return 0.0 if sign > 0 else 1.0
    beyond = math.exp(-y) * sum(y**i / math.factorial(i) for i in range(order))
    return 1.0 - beyond if sign > 0 else beyond


def _two_peaks(distance: float, z: float) -> float:
    width = math.sqrt(1.0 - distance * distance)
    return sum(_NORMAL.cdf((z + sign * distance) / width) for sign in (1, -1)) / 2.0


def _flat(z: float) -> float:
    return min(1.0, max(0.0, (z / math.sqrt(3.0) + 1.0) / 2.0))


def _peaked(z: float) -> float:
    tail = math.exp(-abs(z) * math.sqrt(2.0)) / 2.0
    return tail if z < 0.0 else 1.0 - tail


def _score(u: float) -> float:
    if u <= 0.0:
        return -math.inf
    return math.inf if u >= 1.0 else _NORMAL.inv_cdf(u)


def _sealed(made: Bets) -> Bets:
    for each in made:
        each.setflags(write=False)
    return made
