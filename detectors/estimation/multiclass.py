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

        Errors are by the delta method over independent truths.
        """
        k, rest = len(self.mistaken), np.asarray(unknown, dtype=np.float64)
        rest = np.maximum(rest, 0.0).reshape(len(rest), k, CONFIDENCES)
        sure = np.maximum(np.asarray(known, dtype=np.float64), 0.0)
        pairs = sure.reshape(len(sure), k, k, CONFIDENCES).sum(axis=3).swapaxes(1, 2)
        chance = self.curve.chance
        right = np.einsum("rkc,kc->rk", rest, chance)
        wrong = rest.sum(axis=2) - right
        pairs = pairs + wrong[:, :, None] * self.mistaken + right[:, :, None] * np.eye(k)
        by_chance = np.einsum("rkc,kc->rk", rest, chance * (1.0 - chance))
        with np.errstate(all="ignore"):  # what is not defined is computed along and set to NaN
            value, slope = _measures(pairs)
            mean = (slope * self.mistaken).sum(axis=3)
            spread = (slope**2 * self.mistaken).sum(axis=3) - mean**2
            more = (np.diagonal(slope, axis1=2, axis2=3) - mean) ** 2
            sampling = (more * by_chance + np.maximum(spread, 0.0) * wrong).sum(axis=2)
            calibration = (more * _common(rest, self.curve)).sum(axis=2)
        undefined = ~np.isfinite(value)
        parts = (value, np.sqrt(sampling), np.sqrt(calibration))
        return Measured(*(np.where(undefined, np.nan, part).T for part in parts))


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


def _measures(pairs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values (M, R) from pairs (R, answered, true), and slopes (M, R, answered, true) by one more
    pair while as many are answered."""
    k = pairs.shape[1]
    own = np.eye(k)
    right = np.diagonal(pairs, axis1=1, axis2=2)
    said, true = pairs.sum(axis=2), pairs.sum(axis=1)
    n, some = said.sum(axis=1), said + true
    precision, recall = right / said, right / true
    f1 = np.where(some > 0, 2.0 * right / some, 0.0)
    counted = np.where(n > 0, np.maximum((some > 0).sum(axis=1), 1), np.nan)
    of_f1 = np.where((some > 0)[:, None], (2.0 * own - f1[:, None]) / some[:, None], 0.0)
    slopes = [own / n[:, None, None], of_f1 / counted[:, None, None]]
    of_precision = np.where(said > 0, 1.0 / said, 0.0)[:, None]
    of_recall = np.where((true > 0)[:, None], (own - recall[:, None]) / true[:, None], 0.0)
    slopes += [own * own[c] * of_precision for c in range(k)]
    slopes += [own[c] * of_recall for c in range(k)]
    values = [right.sum(axis=1) / n, f1.sum(axis=1) / counted, *precision.T, *recall.T]
    return np.stack(values), np.stack(slopes)


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
