"""Estimates of models in operation by the bins of their reference, into which answers fall: how
large a regressor's errors are where its predictions lie, how often a classifier of many classes is
right when it is so sure. They learn from the truths that come in closed windows, as `running` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.estimation.bins import Numbers
from watchkeeper.detectors.estimation.confident import Confident
from watchkeeper.detectors.estimation.kinds import Kind, Lesson
from watchkeeper.detectors.estimation.regression import Regression
from watchkeeper.detectors.estimation.trust import Trusts
from watchkeeper.detectors.profile import BINS
from watchkeeper.detectors.types import FloatArray, IntArray

LEAST = 30  # predictions, or truths, that a window needs
OWN = 1_000  # truths of its own from which on a version is not taken for its predecessor
MEMORY = 50_000  # truths after which older ones have faded
NEWS = 0.05  # of the truths of a lesson: with so many more it is learned anew
CELLS = BINS

_FINER = 8.0  # times the spread of predictions is as far as most errors go
_ROW = np.zeros(1, dtype=np.int64)
_PARTS = bytes([Regression.parts, Confident.parts])  # counts of other parts do not go with these


class Cut(NamedTuple):
    """How a reference's column cuts answers into cells: `edges` (at most CELLS - 1), ascending, and
    the column's `scale` (> 0)."""

    edges: FloatArray
    scale: float

    @property
    def name(self) -> str:
        """Tells cuts apart."""
        whole = np.append(self.edges, self.scale).astype("<f8").tobytes() + _PARTS
        return f"cells:{blake2b(whole, digest_size=8).hexdigest()}"

    def cells(self, values: FloatArray) -> IntArray:
        """The cell of each value; -1 where it is no number."""
        place = np.searchsorted(self.edges, values, side="right")
        return np.where(np.isfinite(values), place, -1)

    @property
    def of_errors(self) -> Regression:
        """A regressor whose predictions are cut."""
        return Regression(CELLS, self.scale / _FINER)

    @property
    def of_confidences(self) -> Confident:
        """A classifier whose answers' probabilities are cut."""
        return Confident(CELLS)


class Celled:
    """What the truths of one version taught: `counts` (parts, cells) as `kind` counts them, older
    ones for less; 2 kB of a regressor. `fresh` ones are waited for until there are enough. Before
    there are `OWN`, the counts are the predecessor's. They hold for one `cut` alone. `record` is
    how estimates fared, as `Trusts` holds it.
    """

    __slots__ = ("_lesson", "counts", "cut", "fresh", "kind", "own", "record")

    def __init__(self, kind: Kind, cut: str, before: Celled | None = None) -> None:
        self.kind, self.cut, self.own = kind, cut, False
        shape = (kind.parts, kind.cells)
        alike = before is not None and (before.kind, before.cut) == (kind, cut)
        self.counts: FloatArray = before.counts.copy() if alike and before else np.zeros(shape)
        self.fresh: FloatArray = np.zeros(shape)
        self.record: FloatArray = np.zeros((len(kind.measures), 4))
        self._lesson: Lesson | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """What is estimated."""
        return self.kind.measures

    @property
    def method(self) -> str:
        """How it is."""
        return self.kind.method

    @property
    def speaks(self) -> bool:
        """Whether there is a lesson."""
        return bool(self.counts.any())

    @property
    def lesson(self) -> Lesson:
        """What was learned."""
        if self._lesson is None:
            self._lesson = self.kind.lesson(self.counts)
        return self._lesson

    def learn(self, known: Numbers) -> None:
        """Takes in the truths of a window."""
        self.fresh += known
        news, held = self.truths(self.fresh), self.truths(self.counts)
        if news < (max(LEAST, NEWS * held) if self.own else OWN):
            return
        kept = max(0.0, 1.0 - news / MEMORY) if self.own else 0.0
        self.counts = self.counts * kept + self.fresh
        self.fresh = np.zeros_like(self.fresh)
        self.own, self._lesson = True, None

    def truths(self, known: Numbers) -> int:
        """How many truths are counted."""
        return int(self.kind.told(known[None]).sum())


class Windowed(NamedTuple):
    """A closed window of one version: truths that came in it, `known` (parts, cells), and its own
    predictions, `answered` (cells,). `learns`: the truths are to teach; not those of bad times.
    `measured` is what the truths measure where that is known better than from cells, in which the
    size of errors has an end."""

    taught: Celled
    known: IntArray
    answered: IntArray
    learns: bool = True
    measured: FloatArray | None = None

    @property
    def truths(self) -> int:
        """How many truths came."""
        return self.taught.truths(self.known)


class Told(NamedTuple):
    """Of the kind's measures, (M,) each, NaN where there is nothing to be said: the estimate, where
    it is trusted, and truth less estimate of the predictions whose truths came."""

    estimate: FloatArray
    error: FloatArray
    gap: FloatArray
    gap_error: FloatArray


def told(window: Windowed) -> Told:
    """What a closed window says."""
    nothing = np.full(len(window.taught.kind.measures), np.nan)
    gap = estimate = (nothing, nothing)
    if window.taught.speaks:
        if window.truths >= LEAST:
            gap = _gap(window)
        if window.answered.sum() >= LEAST:
            estimate = _estimate(window)
    if window.learns and window.known.any():
        window.taught.learn(window.known)
    return Told(*estimate, *gap)


def _gap(window: Windowed) -> tuple[FloatArray, FloatArray]:
    """Scores what the truths were expected to be, before they teach anything."""
    taught, known = window.taught, window.known[None]
    came = taught.kind.told(known)
    answers, trusts = np.zeros(came.shape), _trusts(taught)
    guess = taught.lesson.restated(np.zeros_like(known), came, answers)
    truth = taught.lesson.restated(known, np.zeros_like(came), answers)
    if window.measured is not None:
        truth = truth._replace(value=window.measured[None])
    gaps = trusts.score(_ROW, guess, truth)
    taught.record = trusts.sums[0].copy()
    return gaps.value[0], gaps.error[0]


def _estimate(window: Windowed) -> tuple[FloatArray, FloatArray]:
    taught, answered = window.taught, window.answered[None]
    trusts, none = _trusts(taught), np.zeros((1, *window.known.shape))
    guess = taught.lesson.restated(none, answered, np.zeros(answered.shape))
    band = trusts.widened(_ROW, guess, np.ones(1))[0]
    value = guess.value[0]
    given = trusts.trusted(_ROW)[0] & np.isfinite(value) & np.isfinite(band)
    return np.where(given, value, np.nan), np.where(given, band, np.nan)


def _trusts(taught: Celled) -> Trusts:
    trusts = Trusts(len(taught.kind.measures))
    trusts.sums = taught.record[None].copy()
    return trusts


def predecessor(known: dict[str, Celled], before: Iterable[str]) -> Celled | None:
    """The first of the versions `before` that is known."""
    return next((known[each] for each in before if each in known), None)
