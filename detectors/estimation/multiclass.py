"""Measures of a classifier of many classes, from how sure it was of the class it answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.estimation.bins import Numbers, score_bins
from watchkeeper.detectors.estimation.calibration import Curves, curves
from watchkeeper.detectors.estimation.classified import Measured
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.types import FloatArray, IntArray

CONFIDENCES = 32  # bins of the answered class's probability, evenly wide in log-odds
MOST_CLASSES = 16  # a stretch keeps 32 counts for each pair of classes
_WIDTH = SCORE_BINS // CONFIDENCES


def cells_of(answers: IntArray, confidences: FloatArray, classes: int) -> IntArray:
    """The cell of each prediction with an answered class and its probability; -1 for none."""
    bins = score_bins(confidences)
    usable = (bins >= 0) & (answers >= 0) & (answers < classes)
    return np.where(usable, answers * CONFIDENCES + bins // _WIDTH, -1)


@dataclass(frozen=True, slots=True)
class MulticlassLesson:
    """Curves of each answered class (one row a class), calibrated on right against wrong; and how
    its wrong answers are spread over the true classes, `mistaken` (answered, true)."""

    curve: Curves
    mistaken: FloatArray

    def restated(self, known: Numbers, unknown: Numbers, answers: FloatArray) -> Measured:
        """Accuracy, macro F1, and precision and recall of each class.

        Errors are by the delta method with the truths of different classes taken as independent.
        """
        k, rest = len(self.mistaken), np.asarray(unknown, dtype=np.float64)
        rest = np.maximum(rest, 0.0).reshape(len(rest), k, CONFIDENCES)
        sure = np.maximum(np.asarray(known, dtype=np.float64), 0.0)
        pairs = sure.reshape(len(sure), k, k, CONFIDENCES).sum(axis=3).swapaxes(1, 2)
        chance = self.curve.chance
        right = np.einsum("rkc,kc->rk", rest, chance)
        wrong = rest.sum(axis=2) - right
        spread = wrong[:, :, None] * self.mistaken
        pairs = pairs + spread + right[:, :, None] * np.eye(k)
        chances = np.einsum("rkc,kc->rk", rest, chance * (1.0 - chance))
        common = _common(rest, self.curve)
        with np.errstate(all="ignore"):  # what is not defined is computed along and set to NaN
            value, sampling = _measures(pairs, chances, spread.sum(axis=1))
            _, calibration = _measures(pairs, common, np.zeros_like(common))
        undefined = ~np.isfinite(value)
        parts = (value, sampling, calibration)
        return Measured(*(np.where(undefined, np.nan, part) for part in parts))


@dataclass(frozen=True, slots=True)
class Multiclass:
    """A classifier of up to `MOST_CLASSES` classes: cells are (answered class, confidence), parts
    the true class."""

    classes: int
    columns: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")

    @property
    def measures(self) -> tuple[str, ...]:
        """Accuracy, macro F1, and precision and recall of each class by number."""
        each = range(self.classes)
        return (
            *self.columns,
            *(f"precision:{k}" for k in each),
            *(f"recall:{k}" for k in each),
        )

    @property
    def cells(self) -> int:
        """Answered classes times confidences."""
        return self.classes * CONFIDENCES

    @property
    def parts(self) -> int:
        """True classes."""
        return self.classes

    def answers(self, scored: Numbers, positives: Numbers) -> FloatArray:
        """The cells themselves say the answers."""
        return np.zeros(np.shape(scored))

    def told(self, known: Numbers) -> IntArray:
        """Truths of all classes."""
        return np.asarray(np.sum(known, axis=1), dtype=np.int64)

    def lesson(self, known: Numbers) -> MulticlassLesson:
        """One-vs-rest curves. A class never answered is taken to be as all others are; mistakes
        never made are spread as the true classes are, with the weight of one mistake."""
        k = self.classes
        seen = np.asarray(known, dtype=np.float64).reshape(k, k, CONFIDENCES)
        right = seen[np.arange(k), np.arange(k)]
        wrong = seen.sum(axis=0) - right
        of_all = curves(np.stack([wrong.sum(axis=0), right.sum(axis=0)])[None])
        curve = curves(np.stack([wrong, right], axis=1))
        never = (curve.n == 0)[:, None]
        curve = Curves(
            np.where(never, of_all.chance, curve.chance),
            np.where(never, of_all.noise, curve.noise),
            np.where(never, of_all.block, curve.block),
            curve.n,
        )
        pairs = seen.sum(axis=2).T  # (answered, true)
        prior = (pairs.sum(axis=0) + 1.0) * (1.0 - np.eye(k))
        mistakes = pairs * (1.0 - np.eye(k)) + prior / np.maximum(prior.sum(1, keepdims=True), 1.0)
        total = mistakes.sum(axis=1, keepdims=True)
        return MulticlassLesson(curve, mistakes / np.where(total > 0, total, 1.0))


def _measures(
    pairs: FloatArray, of_right: FloatArray, of_missed: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Values and errors (R, M) from pairs (R, answered, true) and the variances (R, classes) of
    right answers and of missed truths."""
    right = np.diagonal(pairs, axis1=1, axis2=2)
    said, true = pairs.sum(axis=2), pairs.sum(axis=1)
    missed, n = true - right, said.sum(axis=1)
    some = said + true
    f1 = np.where(some > 0, 2.0 * right / some, 0.0)
    counted = np.maximum((some > 0).sum(axis=1), 1)
    of_f1 = (4.0 * (said + missed) ** 2 * of_right + 4.0 * right**2 * of_missed) / some**4
    of_recall = (missed**2 * of_right + right**2 * of_missed) / true**4
    value = [right.sum(axis=1) / n, f1.sum(axis=1) / np.where(n > 0, counted, 0)]
    variance = [
        of_right.sum(axis=1) / n**2,
        np.where(some > 0, of_f1, 0.0).sum(axis=1) / counted**2,
    ]
    return (
        np.hstack([np.stack(value, axis=1), right / said, right / true]),
        np.sqrt(np.hstack([np.stack(variance, axis=1), of_right / said**2, of_recall])),
    )


def _common(rest: FloatArray, curve: Curves) -> FloatArray:
    """The variance of right answers that the curves bring in, (R, classes)."""
    found = np.zeros(rest.shape[:2])
    for k in range(rest.shape[1]):
        block = curve.block[k]
        whole = np.stack([np.bincount(block, each, minlength=CONFIDENCES) for each in rest[:, k]])
        noise = np.zeros(CONFIDENCES)
        noise[block] = curve.noise[k]
        found[:, k] = (whole**2 * noise).sum(axis=1)
    return found
