"""Accuracy of a classifier of many classes, from how sure it was of each answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.estimation.bins import Numbers
from watchkeeper.detectors.estimation.calibration import Curves, curves
from watchkeeper.detectors.estimation.classified import Measured, restated
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

_SAID: FloatArray = np.ones(1)


def right_counts(cell: IntArray, right: BoolArray, cells: int) -> IntArray:
    """Wrong and right answers (2, cells) by their cells; -1 for none."""
    usable = (cell >= 0) & (cell < cells)
    at = cell[usable] + cells * right[usable].astype(np.int64)
    return np.bincount(at, minlength=2 * cells).reshape(2, cells)


@dataclass(frozen=True, slots=True)
class ConfidentLesson:
    """The isotonic curve (one row) of how often an answer is right."""

    curve: Curves

    def restated(self, known: Numbers, unknown: Numbers, answers: FloatArray) -> Measured:
        """Accuracy: an answer counts as positive if it is right."""
        curve = self.curve.take(np.zeros(len(unknown), dtype=np.int64))
        return restated(known, unknown, _SAID, curve, Confident.measures)


@dataclass(frozen=True, slots=True)
class Confident:
    """A classifier that gives the probability of its answer: cells are bins of it, ascending, parts
    wrong and right answers. However many classes there are, it needs two numbers a cell."""

    cells: int
    measures: ClassVar[tuple[str, ...]] = ("accuracy",)
    method: ClassVar[str] = "by calibrated confidences"
    parts: ClassVar[int] = 2

    def answers(self, scored: Numbers, positives: Numbers) -> FloatArray:
        """There is nothing to be known of them."""
        return np.zeros(np.shape(scored))

    def told(self, known: Numbers) -> IntArray:
        """Wrong and right ones."""
        return np.asarray(np.sum(known, axis=1), dtype=np.int64)

    def lesson(self, known: Numbers) -> ConfidentLesson:
        """The curve."""
        return ConfidentLesson(curves(known[None]))
