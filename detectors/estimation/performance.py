"""The watch over one model's performance: estimated at once, restated as its truths come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from watchkeeper.detectors.estimation.bins import Numbers
from watchkeeper.detectors.estimation.classified import Measured
from watchkeeper.detectors.estimation.delays import Delays
from watchkeeper.detectors.estimation.kinds import Kind, Lesson
from watchkeeper.detectors.estimation.stretches import KEPT, Stretch, Stretches
from watchkeeper.detectors.estimation.trust import Gaps, Trusts, cross_fitted
from watchkeeper.detectors.estimation.verdict import Limits, Verdicts, verdicts
from watchkeeper.detectors.types import FloatArray, IntArray, StateError, Window

SIZE = 2_000  # predictions of a stretch
_NEARLY = 0.9  # of the truths that are thought to come
_ROW = np.zeros(1, dtype=np.int64)


class Learned(NamedTuple):
    """What the labelled reference of a model teaches: the `lesson`, the `limits` of its measures,
    and the `record` of estimates within it, as `Trusts.dump` gives it."""

    lesson: Lesson
    limits: Limits
    record: bytes


def learned(kind: Kind, known: IntArray, positives: IntArray) -> Learned:
    """Learns from the reference's stretches in order of time: truths (K, parts, cells), each of
    about as many predictions as will be judged at once, and their positive answers (K,)."""
    trusts = Trusts(len(kind.measures))
    told, lesson = kind.told(known), kind.lesson(known.sum(axis=0))
    answers = kind.answers(told, positives)
    for guesses, truths in zip(*cross_fitted(kind, known, answers), strict=True):
        for row in range(len(guesses.value)):
            trusts.score(_ROW, guesses.row(row), truths.row(row))
    values = lesson.restated(known, np.zeros_like(told), answers).value
    return Learned(lesson, Limits.of(values), trusts.dump(0))


@dataclass(frozen=True, slots=True)
class Opinion:
    """What is known of one stretch now.

    `estimate` (one row) is what was expected before any truth, `band` (M,) its standard errors
    with what estimates were off by of late, and `trust` (M,) how many truths lay within what the
    estimates' own errors promised. `now` is what is known with the truths that came, `error` (M,)
    that of what did not. Measures are in the kind's order. `coverage` is the share of truths that
    came; the last verdict can be expected at `due`, in seconds since the epoch. `gaps` are given
    once, when the estimate is scored by the truths.
    """

    window: Window
    n: int
    coverage: float
    estimate: Measured
    band: FloatArray
    now: Measured
    error: FloatArray
    trust: FloatArray
    verdicts: Verdicts
    settled: bool
    due: float
    gaps: Gaps | None = None


class Performance:
    """Judges one version of a model by stretches of windows.

    `horizon` is how long truths are waited for, in seconds; `size` how many predictions are judged
    at once, and `least` how many a verdict needs.

    Feed `scored` with each closed window, in order, and `labelled` with truths as they come;
    `judge` tells what of it has become known.
    """

    def __init__(
        self, kind: Kind, taught: Learned, horizon: float, size: int = SIZE, least: int = 300
    ) -> None:
        self.kind, self.taught = kind, taught
        self.horizon = horizon
        self.least = least
        self.trusts = Trusts(len(kind.measures))
        self.trusts.load(0, taught.record)
        self.delays = Delays()
        self.stretches = Stretches(kind, size)

    def scored(self, start: float, end: float, counts: Numbers, positives: int) -> None:
        """Takes in a closed window's predictions (cells,) and how many answers were positive."""
        self.stretches.scored(start, end, counts, positives)

    def labelled(self, start: float, known: Numbers, delays: Numbers) -> None:
        """Takes in truths (parts, cells) and their delays (DELAYS,) of the window that began at
        `start`, joined since the last call."""
        self.stretches.labelled(start, known, delays)

    def judge(self, now: float) -> list[Opinion]:
        """An opinion of each stretch that is full, oldest first. Those that are settled are given
        a last time and let go."""
        full = self.stretches.full
        opinions = []
        for place, stretch in enumerate(full):
            self._age(stretch, now - stretch.end)
            crowded = len(full) - place > KEPT
            opinion = self._opinion(stretch, now, crowded=crowded)
            opinions.append(opinion)
            if opinion.settled:
                self.stretches.drop(stretch)
                if not crowded:  # no more labels come, so that is how long they took
                    self._age(stretch, self.horizon)
        return opinions

    def dump(self) -> bytes:
        """What was learned since the reference."""
        parts = (self.trusts.dump(0), self.delays.dump(), self.stretches.dump())
        return msgspec.msgpack.encode(parts)

    def load(self, stored: bytes) -> None:
        """Takes up what `dump` gave. Raises `StateError` where it cannot be that."""
        try:
            parts = msgspec.msgpack.decode(stored, type=tuple[bytes, bytes, bytes])
        except msgspec.DecodeError as error:
            raise StateError(f"stored performance is damaged: {error}") from error
        trusts, delays, stretches = (
            Trusts(self.trusts.measures),
            Delays(),
            Stretches(self.kind, self.stretches.size),
        )
        trusts.load(0, parts[0])
        delays.load(parts[1])
        stretches.load(parts[2])
        self.trusts, self.delays, self.stretches = trusts, delays, stretches

    def _age(self, stretch: Stretch, age: float) -> None:
        if age > stretch.aged:
            self.delays.aged(stretch.n, stretch.truths.delays, stretch.aged, age)
            stretch.aged = age

    def _opinion(self, stretch: Stretch, now: float, *, crowded: bool) -> Opinion:
        here = _Rows.of(self.kind, stretch)
        estimate = self._restated(np.zeros_like(here.known), here.scored, here.answers)
        known = self._restated(here.known, here.unknown, here.answers)
        band = self.trusts.widened(_ROW, estimate, np.ones(1))
        settled = crowded or self._settled(stretch, here.coverage, now)
        gaps = self._gaps(stretch, here, settled)
        error = self.trusts.widened(_ROW, known, np.array([1.0 - here.coverage]))
        found = verdicts(
            known.value,
            error,
            self.taught.limits,
            self.trusts.trusted(_ROW),
            enough=np.array([stretch.n >= self.least]),
            settled=np.array([settled and here.coverage > 0.0]),
        )
        return Opinion(
            window=Window(stretch.start, stretch.end),
            n=stretch.n,
            coverage=here.coverage,
            estimate=estimate,
            band=band[0],
            now=known,
            error=error[0],
            trust=self.trusts.trust(_ROW)[0],
            verdicts=found,
            settled=settled,
            due=self._due(stretch),
            gaps=gaps,
        )

    def _settled(self, stretch: Stretch, coverage: float, now: float) -> bool:
        """Whether less than half a truth can be expected still to come."""
        left = stretch.n * (1.0 - coverage)
        return left * self.delays.outstanding(now - stretch.end, self.horizon) < 0.5

    def _gaps(self, stretch: Stretch, here: _Rows, settled: bool) -> Gaps | None:
        """Scores the estimate once, by those predictions whose truths came, if these are enough:
        nearly all that are thought to come, or half of all when no more will."""
        soon = here.coverage >= _NEARLY * self.delays.coverage(self.horizon)
        enough = here.told.sum() >= max(self.least, stretch.n // 2)
        if stretch.told or not enough or not (soon or settled):
            return None
        stretch.told = True
        guess = self._restated(np.zeros_like(here.known), here.told, here.answers)
        truth = self._restated(here.known, np.zeros_like(here.told), here.answers)
        return self.trusts.score(_ROW, guess, truth)

    def _restated(self, known: IntArray, unknown: IntArray, answers: FloatArray) -> Measured:
        return self.taught.lesson.restated(known, unknown, answers)

    def _due(self, stretch: Stretch) -> float:
        """When the stretch will be settled, by what delays were so far: with the last truth that
        is thought to come, at the latest at the horizon."""
        reached = self.delays.coverage(self.horizon)
        last = self.delays.when(reached - 0.5 / max(stretch.n, 1)) if reached > 0 else self.horizon
        return stretch.end + min(last, self.horizon)


class _Rows(NamedTuple):
    """One stretch as arrays of one row."""

    scored: IntArray
    known: IntArray
    told: IntArray
    unknown: IntArray
    answers: FloatArray
    coverage: float

    @classmethod
    def of(cls, kind: Kind, stretch: Stretch) -> _Rows:
        scored, known = stretch.scored[None], stretch.truths.known[None]
        told = kind.told(known)
        # A truth too many for its cell, of a prediction that came late, leaves none unknown.
        unknown = np.maximum(scored - told, 0)
        coverage = min(1.0, float(told.sum()) / stretch.n) if stretch.n else 0.0
        answers = kind.answers(scored, np.array([stretch.positives]))
        return cls(scored, known, told, unknown, answers, coverage)
