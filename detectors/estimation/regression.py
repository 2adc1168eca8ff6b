"""Errors of a regressor, expected from where its predictions lie (direct loss estimation)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.estimation.bins import Numbers
from watchkeeper.detectors.estimation.classified import Measured
from watchkeeper.detectors.types import FloatArray, IntArray

FINE = 1 << 16  # fixed-point steps of an error, its square and its fourth power
# Units of the scale: larger errors count as such, so that 8 million add up. Predictions may explain
# as little as a ten-thousandth of the variance.
FURTHEST = 4_096.0
_PRIOR = 10.0  # predictions with the mean of all, by which cells with few are steadied
# What a cell keeps of its truths: the fourth powers of errors from `_COARSE` on in coarser steps.
N, ABSOLUTE, SQUARE, FOURTH, FOURTH_COARSE = range(5)
_COARSE = 64.0


def error_sums(cell: IntArray, errors: FloatArray, cells: int, scale: float) -> IntArray:
    """Counts and sums (5, cells) of labelled predictions: their cells and prediction less truth.

    Integers in steps of 1/65,536 of `scale` and of its powers, so they add up in any order. What
    is no number, or of no cell, is left out.
    """
    usable = np.isfinite(errors) & (cell >= 0) & (cell < cells)
    with np.errstate(over="ignore"):
        off = np.minimum(np.abs(errors[usable]) / (scale if scale > 0 else 1.0), FURTHEST)
    sums = np.zeros((5, cells), dtype=np.int64)
    places = cell[usable]
    np.add.at(sums[N], places, 1)
    far = off >= _COARSE
    parts = [
        (ABSOLUTE, off),
        (SQUARE, off**2),
        (FOURTH, np.where(far, 0.0, off) ** 4),
        (FOURTH_COARSE, np.where(far, off / _COARSE, 0.0) ** 4),
    ]
    for part, values in parts:
        np.add.at(sums[part], places, np.rint(values * FINE).astype(np.int64))
    return sums


def powers(sums: FloatArray) -> FloatArray:
    """What of `error_sums` (..., 5, cells) are sums, (..., 3, cells): of errors, their squares and
    their fourth powers, in units of the scale."""
    fourth = sums[..., FOURTH, :] + _COARSE**4 * sums[..., FOURTH_COARSE, :]
    found = (sums[..., ABSOLUTE, :], sums[..., SQUARE, :], fourth)
    return np.asarray(np.stack(found, axis=-2) / FINE)


@dataclass(frozen=True, slots=True)
class RegressionLesson:
    """The mean error, its square and its fourth power in each cell, (3, cells) in units of the
    scale; `n` (cells,) predictions each."""

    mean: FloatArray
    n: FloatArray
    scale: float

    def restated(self, known: Numbers, unknown: Numbers, answers: FloatArray) -> Measured:
        """Mean absolute and root mean squared error."""
        sure = np.maximum(np.asarray(known, dtype=np.float64), 0.0)
        rest = np.maximum(np.asarray(unknown, dtype=np.float64), 0.0)
        sums = sure.sum(axis=2)
        n = sums[:, N] + rest.sum(axis=1)
        value, sampling, calibration = [], [], []
        with np.errstate(all="ignore"):  # what is not defined is computed along and set to NaN
            for part, mean, square in ((ABSOLUTE, 0, 1), (SQUARE, 1, 2)):
                value.append((sums[:, part] / FINE + rest @ self.mean[mean]) / n)
                variance = np.maximum(self.mean[square] - self.mean[mean] ** 2, 0.0)
                sampling.append(np.sqrt(rest @ variance) / n)
                calibration.append(np.sqrt(rest**2 @ (variance / (self.n + 1.0))) / n)
            value[1] = np.sqrt(value[1])
            for errors in (sampling, calibration):
                errors[1] = np.where(value[1] > 0, errors[1] / (2.0 * value[1]), 0.0)
        found = (np.stack(each, axis=1) * self.scale for each in (value, sampling, calibration))
        undefined = (n <= 0)[:, None]
        return Measured(*(np.where(undefined, np.nan, each) for each in found))


@dataclass(frozen=True, slots=True)
class Regression:
    """A regressor: cells are bins of the predicted value, or of it and of anything else that says
    how sure the model is; parts are `error_sums`. `scale` (> 0) is the unit of the sums."""

    cells: int
    scale: float
    measures: ClassVar[tuple[str, ...]] = ("mae", "rmse")
    method: ClassVar[str] = "by errors where predictions lie"
    parts: ClassVar[int] = 5

    def answers(self, scored: Numbers, positives: Numbers) -> FloatArray:
        """There are none."""
        return np.zeros(np.shape(scored))

    def told(self, known: Numbers) -> IntArray:
        """Truths that came."""
        return np.asarray(known)[:, N].astype(np.int64)

    def lesson(self, known: Numbers) -> RegressionLesson:
        """Means of the cells, steadied by that of all."""
        seen = np.maximum(np.asarray(known, dtype=np.float64), 0.0)
        sums = powers(seen)
        of_all = sums.sum(axis=1, keepdims=True) / max(float(seen[N].sum()), 1.0)
        mean = (sums + _PRIOR * of_all) / (seen[N] + _PRIOR)
        return RegressionLesson(mean, seen[N], self.scale)
