"""How right a model was, over predictions whose truth has become known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._exact import about, limbs, total
from watchkeeper.detectors.signals._sampling import NAN, Closed, rate_error
from watchkeeper.detectors.types import (
    BoolArray,
    FloatArray,
    Frame,
    IntArray,
    JoinedFrame,
    ObjectArray,
    Partial,
    Sample,
    Window,
)

SCORE_BINS = (
    512  # of scores, evenly wide in log-odds from -14 to 14, so that rare classes keep detail
)
SCORE_EDGES = np.array(
    [1 / (1 + math.exp(14 - 28 * i / (SCORE_BINS - 2))) for i in range(SCORE_BINS - 1)]
)
FINE = 1 << 24  # fixed-point steps of a loss; a loss is below 37, its square below 1,400
SMALLEST = float(np.finfo(np.float64).eps)
_LARGEST_ERROR = 1e75  # its fourth power is still a number


class Accuracy:
    """Classifiers: `accuracy`; where the profile names the positive class also `precision`,
    `recall`, `f1` and, from scores, `roc_auc`, `log_loss` and `brier`. Regressors: `rmse`, `mae`.

    n counts the pairs behind a measure. A row without a predicted label is judged by its score,
    positive from one half up. What is not defined is not given: AUC in a window of one class,
    precision without positive predictions, recall without positive truths.

    Standard errors: rates binomial; F1 by the delta method over tp / (tp + fp + fn); AUC as
    Hanley and McNeil (Radiology 143, 1982); losses from their own spread; RMSE by the delta
    method. AUC comes from score histograms of 512 bins a class, the other losses from sums.
    """

    name: ClassVar[str] = "accuracy"
    watches: ClassVar[type[Frame]] = JoinedFrame

    def measure(self, frame: JoinedFrame, profile: Profile | None) -> Partial:
        positive = None if profile is None else profile.positive
        part = _regressed(frame)
        part.merge(_classified(frame, positive))
        if positive is not None:
            part.merge(_scored(frame, positive))
        return part

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        closed = Closed(model, version, self.name, window)
        positive = None if profile is None else profile.positive
        if "pairs" in partial:
            n, correct = partial["pairs"].tolist()
            yield closed.rate("accuracy", correct, n)
        if f"confusion:{positive}" in partial:
            yield from _confusion_samples(closed, partial[f"confusion:{positive}"])
        if f"scores:{positive}" in partial:
            yield from _auc_samples(closed, partial[f"scores:{positive}"])
            yield from _loss_samples(closed, partial[f"losses:{positive}"])
        if "errors" in partial:
            yield from _error_samples(closed, partial)


def _classified(frame: JoinedFrame, positive: str | None) -> Partial:
    """Pairs and correct ones; of a known positive class the confusion matrix."""
    said = _given(frame.predicted_label)
    by_score = np.isfinite(frame.score) & ~said & (positive is not None)
    usable = _given(frame.label) & (said | by_score)
    n = np.count_nonzero(usable)
    if not n:
        return Partial()
    truth = _equal(frame.label, positive)
    guess = np.where(said, _equal(frame.predicted_label, positive), frame.score >= 0.5)
    same = np.where(said, frame.predicted_label == frame.label, guess == truth).astype(np.bool_)
    part = Partial(pairs=np.array([n, np.count_nonzero(same & usable)], dtype=np.int64))
    if positive is not None:
        cell = 2 * truth[usable].astype(np.int64) + guess[usable]
        part[f"confusion:{positive}"] = np.bincount(cell, minlength=4)
    return part


def _scored(frame: JoinedFrame, positive: str) -> Partial:
    """Score histograms of the negative and the positive truths, and the sums of the losses."""
    usable = _given(frame.label) & (frame.score >= 0) & (frame.score <= 1)
    score = frame.score[usable]
    if not len(score):
        return Partial()
    truth = _equal(frame.label, positive)[usable]
    bins = np.searchsorted(SCORE_EDGES, score, side="right")
    split = np.bincount(bins + SCORE_BINS * truth, minlength=2 * SCORE_BINS).reshape(2, SCORE_BINS)
    right = np.clip(np.where(truth, score, 1 - score), SMALLEST, 1.0)
    log_loss, brier = -np.log(right), (score - truth) ** 2
    sums = [_fine(each) for each in (log_loss, log_loss**2, brier, brier**2)]
    losses = np.array([len(score), *sums], dtype=np.int64)
    return Partial({f"scores:{positive}": split, f"losses:{positive}": losses})


def _regressed(frame: JoinedFrame) -> Partial:
    """Exact sums of the errors' size, square and fourth power."""
    usable = np.isfinite(frame.predicted_value) & np.isfinite(frame.value)
    if not usable.any():
        return Partial()
    with np.errstate(over="ignore"):
        off = np.abs(frame.predicted_value[usable] - frame.value[usable])
    off = np.minimum(off, _LARGEST_ERROR)
    return Partial(
        errors=np.array([len(off)], dtype=np.int64),
        absolute=limbs(off),
        square=limbs(off**2),
        fourth=limbs(off**4),
    )


def _confusion_samples(closed: Closed, confusion: IntArray) -> Iterator[Sample]:
    tn, fp, fn, tp = confusion.tolist()
    n = tn + fp + fn + tp
    if tp + fp:
        yield closed.sample("precision", tp / (tp + fp), n, stderr=rate_error(tp, tp + fp))
    if tp + fn:
        yield closed.sample("recall", tp / (tp + fn), n, stderr=rate_error(tp, tp + fn))
    some = tp + fp + fn
    if some:
        overlap = tp / some
        slope = 2 / (1 + overlap) ** 2
        f1 = 2 * tp / (2 * tp + fp + fn)
        yield closed.sample("f1", f1, n, stderr=slope * rate_error(tp, some))


def _auc_samples(closed: Closed, scores: IntArray) -> Iterator[Sample]:
    negative, positive = scores
    m, k = int(negative.sum()), int(positive.sum())
    if not m or not k:
        return
    twice_below = 2 * (np.cumsum(negative) - negative) + negative
    auc = sum(a * b for a, b in zip(positive.tolist(), twice_below.tolist(), strict=True))
    auc = auc / (2 * m * k)
    yield closed.sample("roc_auc", auc, m + k, stderr=_auc_error(auc, k, m))


def _auc_error(auc: float, positives: int, negatives: int) -> float:
    """Hanley and McNeil's; at 0 and 1, where theirs is zero, that of the nearest inner value."""
    half = 0.5 / (positives * negatives)
    a = min(max(auc, half), 1 - half)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    spread = a * (1 - a) + (positives - 1) * (q1 - a * a) + (negatives - 1) * (q2 - a * a)
    return math.sqrt(max(spread, 0.0) / (positives * negatives))


def _loss_samples(closed: Closed, losses: IntArray) -> Iterator[Sample]:
    n, *sums = losses.tolist()
    for target, first, second in (("log_loss", *sums[:2]), ("brier", *sums[2:])):
        loss, square = first / n / FINE, second / n / FINE
        yield closed.sample(target, loss, n, stderr=_mean_error(square - loss * loss, n))


def measures(partial: Partial) -> FloatArray | None:
    """A window's MAE and RMSE, as nearly as floats are; None where there were no errors."""
    if "errors" not in partial:
        return None
    n = int(partial["errors"][0])
    absolute, square = (about(partial[name]) / n for name in ("absolute", "square"))
    return np.array([absolute, math.sqrt(max(square, 0.0))])


def _error_samples(closed: Closed, partial: Partial) -> Iterator[Sample]:
    n = int(partial["errors"][0])
    mae, mse, fourth = (total(partial[name]) / n for name in ("absolute", "square", "fourth"))
    rmse = math.sqrt(mse)
    spread = _mean_error(fourth - mse * mse, n)
    yield closed.sample("rmse", rmse, n, stderr=spread / (2 * rmse) if rmse else NAN)
    yield closed.sample("mae", float(mae), n, stderr=_mean_error(mse - mae * mae, n))


def _mean_error(variance: float | Fraction, n: int) -> float:
    """Standard error of a mean of n values; unknown where they do not differ."""
    return math.sqrt(variance / (n - 1)) if n > 1 and variance > 0 else NAN


def _fine(losses: FloatArray) -> int:
    return int(np.rint(losses * FINE).astype(np.int64).sum())


def _given(column: ObjectArray) -> BoolArray:
    return np.array([each is not None for each in column.tolist()], dtype=np.bool_)


def _equal(column: ObjectArray, text: str | None) -> BoolArray:
    return np.array([each == text for each in column.tolist()], dtype=np.bool_)
