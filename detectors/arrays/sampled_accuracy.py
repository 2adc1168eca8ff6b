"""How right many models were in their closed windows, as the signal `Accuracy` samples it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.closed import Closed, Group, used
from watchkeeper.detectors.arrays.rates import (
    Measured,
    beside,
    measured,
    quotient,
    rate,
    rate_error,
)
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.banks.arithmetic import each, least, most
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.signals.accuracy import FINE

_SIGNAL = "accuracy"
_OF_LABELS = ("precision", "recall", "f1")
_OF_SCORES = ("roc_auc", "log_loss", "brier")


def groups(schema: Schema) -> Iterator[Group]:
    """The groups of series of a schema; errors of numbers are not among them."""
    if schema.positive is None:
        yield Group(_SIGNAL, ("accuracy",), _correct)
        return
    yield Group(_SIGNAL, ("accuracy", *_OF_LABELS, *_OF_SCORES), _all)


def groups_of_labels(schema: Schema) -> Iterator[Group]:
    """The groups of the signal `Labels`, of what is counted of all labels whoever told them."""
    if schema.positive is not None:
        yield Group("labels", ("positive_rate",), _positive_rate, "labels")


def _positive_rate(closed: Closed) -> Measured:
    tn, fp, fn, tp = (closed.head[cell] for cell in (t.TN, t.FP, t.FN, t.TP))
    n = tn + fp + fn + tp
    return rate(fn + tp, n, n > 0)


def _all(closed: Closed) -> Measured:
    if not closed.head[t.PAIRS : t.SCORED + 1].any():  # truths come late, to few windows in time
        nothing = np.zeros_like(closed.head[t.PAIRS]).repeat(1 + len(_OF_LABELS + _OF_SCORES), 1)
        return measured(nothing > 0, np.full(nothing.shape, np.nan), nothing)
    return beside(_correct(closed), *_confusion(closed), _auc(closed), *_losses(closed))


def _correct(closed: Closed) -> Measured:
    n = closed.head[t.PAIRS]
    return rate(closed.head[t.CORRECT], n, n > 0)


def _confusion(closed: Closed) -> Iterator[Measured]:
    tn, fp, fn, tp = (closed.head[cell] for cell in (t.TN, t.FP, t.FN, t.TP))
    n = tn + fp + fn + tp
    yield measured(tp + fp > 0, tp / (tp + fp), n, rate_error(tp, tp + fp))
    yield measured(tp + fn > 0, tp / (tp + fn), n, rate_error(tp, tp + fn))
    some = tp + fp + fn
    slope = 2 / each(lambda overlap: (1 + overlap) ** 2, np.where(some > 0, tp / some, 0.0))
    f1 = 2 * tp / (2 * tp + fp + fn)
    yield measured(some > 0, f1, n, slope * rate_error(tp, some))


def _auc(closed: Closed) -> Measured:
    scored = closed.head[t.SCORED]
    m, k = np.zeros_like(scored), np.zeros_like(scored)
    twice = np.zeros_like(scored)
    for rows in closed.parts(np.flatnonzero(scored)):
        m[rows, 0], k[rows, 0], twice[rows, 0] = _ranked(closed.counted("scores", rows))
    auc = quotient(twice, 2 * m * k)
    return measured((m > 0) & (k > 0), auc, m + k, _auc_error(auc, k, m))


def _ranked(scores: npt.NDArray[np.int32]) -> tuple[IntArray, IntArray, IntArray]:
    """How many negatives and positives there are, and twice the pairs of them in right order.

    Few of the bins have a positive, so only these are looked at.
    """
    rows, (first, end) = len(scores), used(scores)
    negative, positive = np.ascontiguousarray(scores[..., first:end].transpose(1, 0, 2))
    width, reached = end - first, negative.cumsum(dtype=np.int64)
    before = np.append(0, reached[width - 1 :: width])
    place = np.flatnonzero(positive)
    row, here = place // width, positive.reshape(-1)[place]
    twice = here * (2 * (reached[place] - before[row]) - negative.reshape(-1)[place])
    ends = np.searchsorted(row, np.arange(rows + 1))
    counts = (np.append(0, each.cumsum(dtype=np.int64))[ends] for each in (here, twice))
    k, pairs = (np.diff(each) for each in counts)
    return np.diff(before), k, pairs


def _auc_error(auc: FloatArray, positives: IntArray, negatives: IntArray) -> FloatArray:
    """Hanley and McNeil's, as in `signals.accuracy`."""
    both = positives * negatives
    half = 0.5 / both
    a = least(most(auc, half), 1 - half)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    spread = a * (1 - a) + (positives - 1) * (q1 - a * a) + (negatives - 1) * (q2 - a * a)
    return np.asarray(np.sqrt(most(spread, 0.0) / both))


def _losses(closed: Closed) -> Iterator[Measured]:
    n, sums = closed.head[t.SCORED], closed.counted("losses")[:, :, None]
    for first, second in ((t.LOG_LOSS, t.LOG_LOSS_2), (t.BRIER, t.BRIER_2)):
        loss, square = (quotient(sums[:, place], n) / FINE for place in (first, second))
        variance = square - loss * loss
        stderr = np.where((n > 1) & (variance > 0), np.sqrt(variance / (n - 1)), np.nan)
        yield measured(n > 0, loss, n, stderr)
