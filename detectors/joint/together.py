"""What rows say of how features go together: the part of them that the reference's principal
components leave over, and the correlation of each pair.

Features are compared as normal scores of the reference's bins, with mean 0 and variance 1 there: no
scale, unit or outlier matters, and what is missing counts as the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from watchkeeper.detectors.frames import BoolArray, FloatArray
from watchkeeper.detectors.joint.rows import MISSING, Bins
from watchkeeper.detectors.profile import Joint, NumericProfile

EXPLAINED = 0.8  # of the variance: what principal components are kept for
SMALLEST = 0.01  # variance along a direction: what is smaller is rounding, or a feature twice
FEWEST = 30  # rows that a pair must have for its correlation to be told
_CLOSEST = 0.99  # correlations beyond that are not told apart
_DIGITS = 6


def scores_of(profile: NumericProfile) -> FloatArray:
    """The normal score of each bin."""
    counts = np.array(profile.counts, dtype=np.float64)
    total = counts.sum()
    middle = np.clip((np.cumsum(counts) - counts / 2) / total, 1e-9, 1 - 1e-9)
    score = np.array([NormalDist().inv_cdf(share) for share in middle.tolist()])
    score -= (counts * score).sum() / total
    spread = np.sqrt((counts * score**2).sum() / total)
    return np.asarray(score / spread if spread else score)


def scored(bins: Bins, scores: Sequence[FloatArray]) -> tuple[FloatArray, BoolArray]:
    """The score of each feature in each row (R, P), and which rows have it."""
    mine = bins[:, : len(scores)]
    known = mine != MISSING
    table = np.zeros(mine.shape)
    for place, of in enumerate(scores):
        here = np.minimum(mine[:, place], len(of) - 1)
        table[:, place] = np.where(known[:, place], of[here], 0.0)
    return table, known


def left_over(scores: FloatArray) -> FloatArray:
    """The directions (P, K) that the principal components of most of the variance leave over, each
    with unit variance in these scores."""
    variance, directions = np.linalg.eigh(scores.T @ scores / len(scores))
    explained = np.cumsum(variance[::-1]) / max(variance.sum(), SMALLEST)
    kept = min(int(np.searchsorted(explained, EXPLAINED)) + 1, len(variance) - 1)
    rest = slice(0, len(variance) - kept)
    return np.asarray(directions[:, rest] / np.sqrt(np.maximum(variance[rest], SMALLEST)))


def residuals(scores: FloatArray, directions: FloatArray) -> FloatArray:
    """How far each row is from what components explain, squared; rounded, as features of few
    values give the same ones again and again."""
    return np.asarray(np.round(((scores @ directions) ** 2).sum(axis=1), _DIGITS))


def correlations(scores: FloatArray, known: BoolArray) -> tuple[FloatArray, FloatArray]:
    """The correlation of each pair (P, P) over the rows that have both, and how many those are; 0
    where one does not vary."""
    there = known.astype(np.float64)
    n = there.T @ there
    with np.errstate(all="ignore"):
        mean = scores.T @ there / n  # of the first where both are there
        square = (scores**2).T @ there / n - mean**2
        shared = scores.T @ scores / n - mean * mean.T
        found = shared / np.sqrt(square * square.T)
    told = (n > 0) & (square > 1e-9) & (square.T > 1e-9)
    return np.clip(np.where(told, found, 0.0), -1.0, 1.0), n


def changes(found: FloatArray, n: FloatArray, joint: Joint) -> FloatArray:
    """By how many standard errors each pair's correlation is another one than the reference's
    (P, P), by Fisher's transformation; 0 where there are too few rows."""
    usual = np.array(joint.correlation)
    now, then = (np.arctanh(np.clip(each, -_CLOSEST, _CLOSEST)) for each in (found, usual))
    error = np.sqrt(1 / np.maximum(n - 3, 1) + 1 / max(joint.n - 3, 1))
    apart = np.where(n >= FEWEST, np.abs(now - then) / error, 0.0)
    np.fill_diagonal(apart, 0.0)
    return apart


def shares(scores: FloatArray, joint: Joint) -> FloatArray:
    """By how much each feature (P,) adds more, or less, to the residuals than in the reference."""
    along = np.array(joint.directions)
    within = along @ along.T
    now = scores.T @ scores / len(scores)
    change = (within * (now - np.array(joint.correlation))).sum(axis=1)
    return np.asarray(np.abs(change))
