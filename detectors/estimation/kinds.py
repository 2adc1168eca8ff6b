"""What kinds of model have in common: cells of predictions, what truths say of each, measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from watchkeeper.detectors.estimation.bins import SAID_FROM_HALF, Numbers, said_from_top
from watchkeeper.detectors.estimation.calibration import Curves, curves
from watchkeeper.detectors.estimation.classified import MEASURES, Measured, restated
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.types import FloatArray, IntArray


class Lesson(Protocol):
    """What labelled predictions of one model taught about those without a label."""

    def restated(self, known: Numbers, unknown: Numbers, answers: FloatArray) -> Measured:
        """What R windows measure, with truths where they came (`known`, (R, parts, cells)) and
        what can be expected of the others (`unknown`, (R, cells)). `answers` is `Kind.answers`."""


class Kind(Protocol):
    """A kind of model. Predictions fall into `cells`; of those with a truth each cell counts
    `parts`, integers that add up. `measures` names what is measured."""

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of the measures, M of them."""

    @property
    def method(self) -> str:
        """How they are estimated, in a few words."""

    @property
    def cells(self) -> int:
        """How many cells there are."""

    @property
    def parts(self) -> int:
        """How many numbers a cell keeps of its truths."""

    def answers(self, scored: Numbers, positives: Numbers) -> FloatArray:
        """What is known of the answers of R windows with predictions `scored` (R, cells), of which
        so many (R,) were positive: (R, cells)."""

    def told(self, known: Numbers) -> IntArray:
        """How many truths came in each cell, (R, cells)."""

    def lesson(self, known: Numbers) -> Lesson:
        """What truths (parts, cells) teach."""


@dataclass(frozen=True, slots=True)
class BinaryLesson:
    """A curve of one row."""

    curve: Curves

    def restated(self, known: Numbers, unknown: Numbers, answers: FloatArray) -> Measured:
        """See `classified.restated`."""
        curve = self.curve.take(np.zeros(len(unknown), dtype=np.int64))
        return restated(known, unknown, answers, curve)


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary classifier with a score: cells are score bins, parts negative and positive truths,
    answers the share of a cell that is answered positive."""

    measures: ClassVar[tuple[str, ...]] = MEASURES
    method: ClassVar[str] = "by calibrated scores"
    cells: ClassVar[int] = SCORE_BINS
    parts: ClassVar[int] = 2

    def answers(self, scored: Numbers, positives: Numbers) -> FloatArray:
        """From one half up where that gives as many positives, else the highest scores."""
        as_usual = np.asarray(scored @ SAID_FROM_HALF == positives)[:, None]
        return np.where(as_usual, SAID_FROM_HALF, said_from_top(scored, np.asarray(positives)))

    def told(self, known: Numbers) -> IntArray:
        """Negative and positive truths."""
        return np.asarray(np.sum(known, axis=1), dtype=np.int64)

    def lesson(self, known: Numbers) -> BinaryLesson:
        """The isotonic curve."""
        return BinaryLesson(curves(known[None]))
