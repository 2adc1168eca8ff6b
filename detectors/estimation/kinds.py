"""What kinds of model have in common: cells of predictions, what truths say of each, measures."""

from __future__ import annotations

from typing import Protocol

from watchkeeper.detectors.estimation.bins import Numbers
from watchkeeper.detectors.estimation.classified import Measured
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
