"""Scores in bins: the same bins in which labelled windows count their truths."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.signals.accuracy import SCORE_BINS, SCORE_EDGES
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

HALF = int(np.searchsorted(SCORE_EDGES, 0.5, side="right"))  # scores from one half up
_TAIL = 0.5  # of a bin: where the scores of the two open bins are thought to be
_STEP = 28.0 / (SCORE_BINS - 2)  # of log-odds

# The middle of each bin in log-odds, shape (SCORE_BINS,), and the score it stands for.
LOG_ODDS: FloatArray = -14.0 + _STEP * (np.arange(SCORE_BINS, dtype=np.float64) - _TAIL)
MIDDLE: FloatArray = 1.0 / (1.0 + np.exp(-LOG_ODDS))

# Whether a score of a bin is answered with the positive class, as a share, for the threshold 0.5.
SAID_FROM_HALF: FloatArray = (np.arange(SCORE_BINS) >= HALF).astype(np.float64)

Numbers = npt.NDArray[np.integer[Any]] | npt.NDArray[np.float64]  # counts, or what is expected


def score_bins(scores: FloatArray) -> IntArray:
    """The bin of each score; -1 where it is no probability.

    >>> score_bins(np.array([0.0, 0.5, 1.0, 1.5, float("nan")])).tolist()
    [0, 256, 511, -1, -1]
    """
    usable = (scores >= 0.0) & (scores <= 1.0)
    return np.where(usable, np.searchsorted(SCORE_EDGES, scores, side="right"), -1)


def score_counts(scores: FloatArray) -> IntArray:
    """How many scores fall into each bin, shape (SCORE_BINS,); what is no probability does not."""
    bins = score_bins(scores)
    return np.bincount(bins[bins >= 0], minlength=SCORE_BINS)


def truth_counts(scores: FloatArray, truths: BoolArray) -> IntArray:
    """Scores of negative and of positive truths by bin, shape (2, SCORE_BINS)."""
    bins = score_bins(scores)
    known = bins >= 0
    at = bins[known] + SCORE_BINS * truths[known].astype(np.int64)
    return np.bincount(at, minlength=2 * SCORE_BINS).reshape(2, SCORE_BINS)


def said_from_top(counts: Numbers, positives: IntArray) -> FloatArray:
    """The share of each bin that a model answers positive, when it answers the highest scores so.

    `counts` (..., SCORE_BINS) are all its scores and `positives` (...) how many of its answers
    were positive: for a threshold other than one half, which need not be known.

    >>> said_from_top(np.array([2, 2, 2]), np.array(3)).tolist()
    [0.0, 0.5, 1.0]
    """
    seen = np.asarray(counts, dtype=np.float64)
    above = np.cumsum(seen[..., ::-1], axis=-1)[..., ::-1] - seen
    left = np.asarray(positives, dtype=np.float64)[..., None] - above
    share = np.divide(left, seen, out=(left > 0).astype(np.float64), where=seen > 0)
    return np.clip(share, 0.0, 1.0)


def spread(coarse: Numbers, edges: FloatArray, known: Numbers) -> FloatArray:
    """Counts over the bins that `edges` cut, spread over the score bins, shape (..., SCORE_BINS),
    or over as many as `known` has, each being several neighbouring ones of these.

    `coarse` (..., k) belongs to k - 1 ascending `edges`, as a reference's profile of the score
    has them. Within a coarse bin the scores are taken to lie as in `known` (SCORE_BINS,), the
    counts of the labelled scores; where that has none, evenly. A score bin that an edge cuts is
    shared in proportion to log-odds.
    """
    cut = _log_odds(edges)
    low = np.append(-np.inf, LOG_ODDS[1:] - _STEP / 2)
    bins = known.shape[-1]
    first = np.clip((cut - low[1:-1].min()) / _STEP + 1.0, 0.0, float(SCORE_BINS))
    first *= bins / SCORE_BINS
    begin, end = np.append(0.0, first), np.append(first, float(bins))
    at = np.arange(bins)
    inside = np.minimum(end[:, None], at + 1.0) - np.maximum(begin[:, None], at)
    overlap = np.clip(inside, 0.0, 1.0)
    weight = overlap * np.asarray(known, dtype=np.float64)
    empty = weight.sum(axis=1) <= 0.0
    weight[empty] = overlap[empty]
    total = weight.sum(axis=1, keepdims=True)
    # Two edges within one bin's rounding leave a coarse bin without room: it takes its first bin.
    narrow = np.flatnonzero(total[:, 0] <= 0.0)
    weight[narrow, np.clip(begin[narrow].astype(np.int64), 0, bins - 1)] = 1.0
    shares = weight / weight.sum(axis=1, keepdims=True)
    return np.asarray(np.asarray(coarse, dtype=np.float64)[..., : len(shares)] @ shares)


def _log_odds(scores: FloatArray) -> FloatArray:
    inside = np.clip(np.nan_to_num(scores, nan=0.5), 1e-9, 1.0 - 1e-9)
    return np.asarray(np.log(inside / (1.0 - inside)), dtype=np.float64)
