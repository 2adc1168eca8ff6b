"""How rare a score is among all of its series so far: conformal p-values with a modelled tail.

A score's rank in all history needs no model (Vovk, Gammerman and Shafer, Algorithmic Learning in a
Random World, 2005), but cannot say less than 1 in as many scores as there were. Above the largest
few in a hundred the tail is a generalised Pareto distribution by probability-weighted moments
(Hosking and Wallis, Technometrics 29, 1987): exponential where scores are tame, heavier where they
are not. The history is a histogram over a logarithmic scale, and fades once it is full.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import FloatArray, IntArray

Counts = npt.NDArray[np.float32]

BINS = 384
_FINE = 8  # bins in which a score doubles
_MIDDLE = 191  # the bin whose lower edge is the scale; 24 doublings fit on either side
_FARTHEST = 60.0  # doublings away from the scale that are told apart in the tail
_SHARE = 0.03  # of all scores, the largest that make the tail
_FEWEST = 10  # scores that make a tail
_HEAVIEST = 0.9  # shape of the tail; from 1 on it has no mean
MOST = 16.0  # digits of a p-value

_EDGES = np.concatenate([[0.0], 2.0 ** ((np.arange(BINS - 1) - _MIDDLE) / _FINE)])
_MIDS = _EDGES * 2.0 ** (0.5 / _FINE)


def place_of(ratio: FloatArray) -> IntArray:
    """The bin of scores, given in units of their scale; 0 is for scores of nothing."""
    doublings = np.log2(np.where(ratio > 0.0, ratio, 1.0))
    place = np.floor(_FINE * doublings).astype(np.int64) + _MIDDLE + 1
    return np.where(ratio > 0.0, np.clip(place, 1, BINS - 1), 0)


def digits(counts: Counts, ratio: FloatArray, place: IntArray, warm_up: int) -> FloatArray:
    """-log10 of the share of history that is at least as large; NaN before `warm_up` scores.

    `counts` has shape (..., BINS), `ratio` and `place` that of the result.
    """
    above = np.cumsum(counts[..., ::-1], axis=-1, dtype=np.float64)[..., ::-1]
    n = above[..., 0]
    known = n >= warm_up
    n = np.maximum(n, 1.0)
    largest = np.minimum(np.maximum(_SHARE * n, _FEWEST), n)
    begin = np.maximum((above >= largest[..., None]).sum(axis=-1) - 1, 0)
    beyond = np.minimum(ratio, 2.0**_FARTHEST) - _EDGES[begin]
    found = np.log10((n + 1.0) / (_at(above, place) + 1.0))
    far = known & (place >= begin) & (beyond > 0.0)
    if far.any():
        count = np.where(begin > 0, _at(above, begin), largest)[far]
        tail = _tail(counts[far], above[far], begin[far], count, beyond[far])
        found[far] = np.log10(n[far] / count) + tail / math.log(10.0)
    return np.where(known, np.clip(found, 0.0, MOST), np.nan)


def learn(counts: Counts, place: IntArray, given: npt.NDArray[np.bool_], memory: int) -> None:
    """Takes scores in; what is older than `memory` scores fades."""
    full = counts.sum(axis=-1) >= memory
    if full.any():
        counts[full & given] *= np.float32(1.0 - 1.0 / memory)
    at = np.nonzero(given)
    counts[(*at, place[at])] += np.float32(1.0)


def _tail(
    counts: Counts, above: FloatArray, begin: IntArray, count: FloatArray, beyond: FloatArray
) -> FloatArray:
    """-ln of the share of the tail that lies so far beyond its begin."""
    inside = np.arange(BINS) >= np.maximum(begin, 1)[..., None]
    excess = np.where(inside, counts * np.maximum(_MIDS - _EDGES[begin][..., None], 0.0), 0.0)
    share = (above - 0.5 * counts) / count[..., None]
    mean = excess.sum(axis=-1) / count
    weighted = (excess * share).sum(axis=-1) / count
    spare = mean - 2.0 * weighted
    shape = np.where(spare > 0.0, 2.0 - mean / np.where(spare > 0.0, spare, 1.0), 0.0)
    shape = np.clip(shape, 0.0, _HEAVIEST)
    scale = mean * (1.0 - shape)
    units = np.maximum(beyond, 0.0) / np.where(scale > 0.0, scale, 1.0)
    heavy = shape > 1e-3
    tame = np.where(heavy, np.log1p(shape * units) / np.where(heavy, shape, 1.0), units)
    return np.where(scale > 0.0, tame, math.inf)


def _at(table: FloatArray, place: IntArray) -> FloatArray:
    found: FloatArray = np.take_along_axis(table, place[..., None], axis=-1)[..., 0]
    return found
