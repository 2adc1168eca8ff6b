"""What the labelled reference of a model teaches the watch over it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.estimation.kinds import Kind, Lesson
from watchkeeper.detectors.estimation.trust import Trusts, cross_fitted
from watchkeeper.detectors.estimation.verdict import Limits
from watchkeeper.detectors.types import FloatArray, IntArray

SIZE = 2_000  # predictions of a stretch
_ROW = np.zeros(1, dtype=np.int64)


class Learned(NamedTuple):
    """What the labelled reference of a model teaches: the `lesson`, the `limits` of its measures,
    and the `record` of estimates within it, as `Trusts.dump` gives it."""

    lesson: Lesson
    limits: Limits
    record: bytes


def learned(kind: Kind, known: IntArray, answers: FloatArray) -> Learned:
    """Learns from the reference's stretches in order of time: truths (K, parts, cells), each of
    about as many predictions as will be judged at once, and their `Kind.answers` (K, cells)."""
    trusts = Trusts(len(kind.measures))
    lesson = kind.lesson(known.sum(axis=0))
    for guesses, truths in zip(*cross_fitted(kind, known, answers), strict=True):
        for row in range(len(guesses.value)):
            trusts.score(_ROW, guesses.row(row), truths.row(row))
    values = lesson.restated(known, np.zeros_like(kind.told(known)), answers).value
    return Learned(lesson, Limits.of(values), trusts.dump(0))
