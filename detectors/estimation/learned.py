"""What the labelled reference of a model teaches the watch over it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.estimation.bins import Numbers
from watchkeeper.detectors.estimation.kinds import Kind, Lesson
from watchkeeper.detectors.estimation.stretches import KEPT, Stretch, Stretches
from watchkeeper.detectors.estimation.trust import Trusts, cross_fitted
from watchkeeper.detectors.estimation.verdict import Limits
from watchkeeper.detectors.types import FloatArray, IntArray

SIZE = 2_000  # predictions of a stretch
_NEARLY, _HALF = 0.95, 0.5  # of the truths of a stretch
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


class Learner:
    """Gathers the first labelled stretches of a model until there are `wanted` to learn from.

    A stretch counts when 19 of 20 truths have come, or, `horizon` seconds after its end, half of
    them; with fewer it is let go.
    """

    def __init__(self, kind: Kind, horizon: float, *, size: int = SIZE, wanted: int = 20) -> None:
        self.kind, self.horizon, self.wanted = kind, horizon, wanted
        self.stretches = Stretches(kind, size)

    def scored(self, start: float, end: float, counts: Numbers, positives: int) -> None:
        """As in `Performance`."""
        self.stretches.scored(start, end, counts, positives)

    def labelled(self, start: float, known: Numbers, delays: Numbers) -> None:
        """As in `Performance`."""
        self.stretches.labelled(start, known, delays)

    def learned(self, now: float) -> Learned | None:
        """What was learned, as soon as there is enough."""
        ripe = [each for each in self.stretches.full if self._ripe(each, now)]
        if len(ripe) < self.wanted:
            return None
        scored = np.stack([each.scored for each in ripe])
        positives = np.array([each.positives for each in ripe])
        known = np.stack([each.truths.known for each in ripe])
        return learned(self.kind, known, self.kind.answers(scored, positives))

    def dump(self) -> bytes:
        """All that was gathered."""
        return self.stretches.dump()

    def load(self, stored: bytes) -> None:
        """Takes up what `dump` gave. Raises `StateError` where it cannot be that."""
        self.stretches.load(stored)

    def _ripe(self, stretch: Stretch, now: float) -> bool:
        coverage = float(self.kind.told(stretch.truths.known[None]).sum()) / max(stretch.n, 1)
        crowded = len(self.stretches.held) > self.wanted + KEPT
        done = crowded or now - stretch.end >= self.horizon
        if done and coverage < _HALF:
            self.stretches.drop(stretch)
        return coverage >= (_HALF if done else _NEARLY)
