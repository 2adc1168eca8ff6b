"""Measures of a classifier from counts by score: of known truths, of expected ones, or of both."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.estimation.bins import MIDDLE, Numbers
from watchkeeper.detectors.estimation.calibration import Curves
from watchkeeper.detectors.types import FloatArray

MEASURES = ("accuracy", "precision", "recall", "f1", "roc_auc", "brier", "log_loss")


class Measured(NamedTuple):
    """Measures of R windows, shape (R, M); those of a binary classifier in the order `MEASURES`,
    or those that are `wanted`.

    `sampling` is the standard error that truths not known yet bring in, `calibration` the one
    that the curve brings in; the truth lies within 1.96 `error`s of `value` 19 times of 20 while
    scores mean what they meant. NaN where a measure is not defined, as AUC of one class.
    """

    value: FloatArray
    sampling: FloatArray
    calibration: FloatArray

    @property
    def error(self) -> FloatArray:
        """Both errors together."""
        return np.asarray(np.hypot(self.sampling, self.calibration))

    def row(self, row: int) -> Measured:
        """One window's, as one row."""
        return Measured(*(each[row : row + 1] for each in self))


def estimated(unknown: Numbers, said: FloatArray, curve: Curves) -> Measured:
    """What R windows without a label can be expected to measure (confidence-based estimation).

    `unknown` (R, SCORE_BINS) are the windows' score counts, `said` (R, SCORE_BINS) or
    (SCORE_BINS,) the share of each bin that is answered positive, `curve` one row a window.
    """
    return restated(np.zeros((len(unknown), 2, unknown.shape[-1])), unknown, said, curve)


def realised(known: Numbers, said: FloatArray, wanted: tuple[str, ...] = MEASURES) -> Measured:
    """What R windows with counts (R, 2, SCORE_BINS) of negative and positive truths measured.

    Bins are the score bins, or each several neighbouring ones of these, here and in all functions.
    Rates are exact where a bin is answered alike; AUC takes half of the pairs within a bin;
    losses take a score for the middle of its bin. The errors are 0.
    """
    sure = np.maximum(np.asarray(known, dtype=np.float64), 0.0)
    share = np.broadcast_to(np.asarray(said, dtype=np.float64), sure[:, 1].shape)
    with np.errstate(all="ignore"):
        value = np.stack([each for each, _ in _measures(sure[:, 1], sure[:, 0], share, wanted)])
    value = np.where(np.isfinite(value), value, np.nan)[..., 0].T
    error = np.where(np.isnan(value), np.nan, 0.0)
    return Measured(value, error, error)


def restated(
    known: Numbers,
    unknown: Numbers,
    said: FloatArray,
    curve: Curves,
    wanted: tuple[str, ...] = MEASURES,
) -> Measured:
    """What R windows measure as far as it is known: truths where they came, chances elsewhere.

    `known` (R, 2, SCORE_BINS) and `unknown` (R, SCORE_BINS) count different predictions.

    The errors are by the delta method over independent truths: their slopes are those of each
    measure by one more positive truth in a bin.
    """
    rest = np.maximum(np.asarray(unknown, dtype=np.float64), 0.0)
    sure = np.maximum(np.asarray(known, dtype=np.float64), 0.0)
    share = np.broadcast_to(np.asarray(said, dtype=np.float64), rest.shape)
    positive = sure[:, 1] + rest * curve.chance
    negative = sure[:, 0] + rest * (1.0 - curve.chance)
    with np.errstate(all="ignore"):  # what is not defined is computed along and set to NaN
        values, slopes = zip(*_measures(positive, negative, share, wanted), strict=True)
        value = np.stack(values)[..., 0]
        slope = np.stack([np.broadcast_to(each, rest.shape) for each in slopes])
        sampling = np.sqrt(((rest * curve.chance * (1.0 - curve.chance)) * slope**2).sum(axis=2))
        calibration = np.sqrt(_common(slope * rest, curve))
    undefined = ~np.isfinite(value)
    found = (value, sampling, calibration)
    return Measured(*(np.where(undefined, np.nan, each).T for each in found))


def _measures(
    positive: FloatArray, negative: FloatArray, said: FloatArray, wanted: tuple[str, ...]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Values (R, 1), and slopes (R, SCORE_BINS) by one more positive truth in a bin."""
    n = positive + negative
    of, yes, all_said = (_sum(each) for each in (n, positive, said * n))
    hits = _sum(said * positive)
    for name in wanted:
        if name == "accuracy":
            right = _sum(said * positive + (1.0 - said) * negative)
            yield right / of, (2.0 * said - 1.0) / of
        elif name == "precision":
            yield hits / all_said, said / all_said
        elif name == "recall":
            yield hits / yes, (said - hits / yes) / yes
        elif name == "f1":
            f1 = 2.0 * hits / (yes + all_said)
            yield f1, (2.0 * said - f1) / (yes + all_said)
        elif name == "roc_auc":
            yield _auc(positive, negative)
        else:
            if_positive, if_negative = _losses(n.shape[-1])[name]
            loss = _sum(positive * if_positive + negative * if_negative) / of
            yield loss, (if_positive - if_negative) / of


@lru_cache(maxsize=8)
def _losses(bins: int) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Each loss of a positive and of a negative truth, by bin."""
    middle = MIDDLE.reshape(bins, -1).mean(axis=1)
    return {
        "brier": ((1.0 - middle) ** 2, middle**2),
        "log_loss": (-np.log(middle), -np.log1p(-middle)),
    }


def _auc(positive: FloatArray, negative: FloatArray) -> tuple[FloatArray, FloatArray]:
    yes, no = _sum(positive), _sum(negative)
    below = np.cumsum(negative, axis=-1) - 0.5 * negative
    above = yes - np.cumsum(positive, axis=-1) + 0.5 * positive
    auc = _sum(positive * below) / (yes * no)
    return auc, (below - above) / (yes * no) - auc * (1.0 / yes - 1.0 / no)


def _sum(counts: FloatArray) -> FloatArray:
    return np.asarray(counts.sum(axis=-1, keepdims=True))


def _common(slopes: FloatArray, curve: Curves) -> FloatArray:
    """The variance that the curves' blocks bring in, (7, R): bins of a block err together."""
    kinds, rows, bins = slopes.shape
    at = np.arange(kinds * rows)[:, None] * bins + np.tile(curve.block, (kinds, 1))
    whole = np.bincount(at.reshape(-1), slopes.reshape(-1), minlength=kinds * rows * bins)
    noise = np.zeros((rows, bins))
    np.put_along_axis(noise, curve.block, curve.noise, axis=1)
    return np.asarray((whole.reshape(kinds, rows, bins) ** 2 * noise).sum(axis=2))
