"""The watch over one model's performance: estimated at once, restated as its truths come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from watchkeeper.detectors.estimation.bins import Numbers
from watchkeeper.detectors.estimation.classified import Measured
from watchkeeper.detectors.estimation.delays import Delays
from watchkeeper.detectors.estimation.kinds import BinaryLesson, Kind, Lesson
from watchkeeper.detectors.estimation.learned import SIZE, Learned
from watchkeeper.detectors.estimation.rows import Rows
from watchkeeper.detectors.estimation.stretches import KEPT, Stretch, Stretches
from watchkeeper.detectors.estimation.trust import Gaps, Trusts
from watchkeeper.detectors.estimation.verdict import SURE, Verdicts, verdicts
from watchkeeper.detectors.estimation.weighting import corrected, weights
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray, StateError, Window

_NEARLY = 0.9  # of the truths that are thought to come
_HALF = 0.5  # of all truths, without which nothing can be said to be realised
_ROW = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What is known of one stretch now.

    `estimate` (one row) is what was expected before any truth, `band` (M,) its standard errors
    with what estimates were off by of late, and `trust` (M,) how many truths lay within what the
    estimates' own errors promised. `now` is what is known with the truths that came, `error` (M,)
    that of what did not. Measures are in the kind's order. `coverage` is the share of truths that
    came. Verdicts on all measures can be expected by `due`, in seconds since the epoch: when so
    many truths will have come that the rest cannot matter. `gaps` are given once, when the
    estimate is scored by the truths.
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
    at once, and `least` how many a verdict needs. With a sample of the reference's `rows` the curve
    of a binary classifier is corrected for each stretch by its features, where that is sound.

    Feed `scored` with each closed window, in order, and `labelled` with truths as they come;
    `judge` tells what of it has become known.
    """

    def __init__(
        self,
        kind: Kind,
        taught: Learned,
        horizon: float,
        *,
        size: int = SIZE,
        least: int = 300,
        rows: Rows | None = None,
    ) -> None:
        self.kind, self.taught = kind, taught
        self.horizon = horizon
        self.least = least
        self.trusts = Trusts(len(kind.measures))
        self.trusts.load(0, taught.record)
        self.delays = Delays()
        self.rows = rows
        self.stretches = self._stretches(size)
        self._lessons: dict[float, Lesson] = {}

    def scored(
        self,
        start: float,
        end: float,
        counts: Numbers,
        positives: int,
        features: Numbers | None = None,
    ) -> None:
        """Takes in a closed window's predictions (cells,), how many answers were positive, and
        where there are `rows` what was counted of the features (features, CODES)."""
        self.stretches.scored(start, end, counts, positives, features)

    def labelled(self, start: float, known: Numbers, delays: Numbers) -> None:
        """Takes in truths (parts, cells) and their delays (DELAYS,) of the window that began at
        `start`, joined since the last call."""
        self.stretches.labelled(start, known, delays)

    def judge(self, now: float) -> list[Opinion]:
        """An opinion of each stretch that is full, oldest first. Those that are settled are given
        a last time and let go."""
        full = self.stretches.full
        if not full:
            return []
        rows = _Rows.of(self.kind, full)
        estimates = self._restated(full, np.zeros_like(rows.known), rows.scored, rows.answers)
        known = self._restated(full, rows.known, rows.unknown, rows.answers)
        opinions = []
        for place, stretch in enumerate(full):
            self._age(stretch, now - stretch.end)
            crowded = len(full) - place > KEPT
            settled = crowded or self._settled(stretch, float(rows.coverage[place]), now)
            gaps = self._gaps(stretch, rows.row(place), settled)
            pair = estimates.row(place), known.row(place)
            opinions.append(
                self._opinion(stretch, pair, float(rows.coverage[place]), settled, gaps)
            )
            if settled:
                self.stretches.drop(stretch)
                self._lessons.pop(stretch.start, None)
                if not crowded:  # no more labels come, so that is how long they took
                    self._age(stretch, math.inf)
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
        trusts, delays = Trusts(self.trusts.measures), Delays()
        stretches = self._stretches(self.stretches.size)
        trusts.load(0, parts[0])
        delays.load(parts[1])
        stretches.load(parts[2])
        self.trusts, self.delays, self.stretches = trusts, delays, stretches
        self._lessons = {}

    def _stretches(self, size: int) -> Stretches:
        features = 0 if self.rows is None else self.rows.codes.shape[1]
        return Stretches(self.kind, size, features)

    def _lesson(self, stretch: Stretch) -> Lesson:
        """The lesson for one stretch that is full."""
        plain = self.taught.lesson
        if self.rows is None or not isinstance(plain, BinaryLesson):
            return plain
        known = self._lessons.get(stretch.start)
        if known is None:
            found = weights(self.rows, list(stretch.features), stretch.n)
            known = BinaryLesson(corrected(plain.curve, self.rows, found))
            self._lessons[stretch.start] = known
        return known

    def _restated(
        self,
        stretches: Sequence[Stretch],
        known: IntArray,
        unknown: IntArray,
        answers: FloatArray,
    ) -> Measured:
        if self.rows is None:
            return self.taught.lesson.restated(known, unknown, answers)
        parts = [
            self._lesson(stretch).restated(known[[row]], unknown[[row]], answers[[row]])
            for row, stretch in enumerate(stretches)
        ]
        return Measured(
            np.concatenate([each.value for each in parts]),
            np.concatenate([each.sampling for each in parts]),
            np.concatenate([each.calibration for each in parts]),
        )

    def _age(self, stretch: Stretch, age: float) -> None:
        if age > stretch.aged:
            self.delays.aged(stretch.n, stretch.truths.delays, stretch.aged, age)
            stretch.aged = age

    def _opinion(
        self,
        stretch: Stretch,
        measured: tuple[Measured, Measured],
        coverage: float,
        settled: bool,
        gaps: Gaps | None,
    ) -> Opinion:
        estimate, now = measured
        error = self.trusts.widened(_ROW, now, np.array([1.0 - coverage]))
        band = self.trusts.widened(_ROW, estimate, np.ones(1))
        found = verdicts(
            now.value,
            error,
            self.taught.limits,
            self.trusts.trusted(_ROW),
            enough=np.array([stretch.n >= self.least]),
            settled=np.array([settled and coverage >= _HALF]),
        )
        return Opinion(
            window=Window(stretch.start, stretch.end),
            n=stretch.n,
            coverage=coverage,
            estimate=estimate,
            band=band[0],
            now=now,
            error=error[0],
            trust=self.trusts.trust(_ROW)[0],
            verdicts=found,
            settled=settled,
            due=stretch.end + self._due(stretch, now.value, band, found.final),
            gaps=gaps,
        )

    def _settled(self, stretch: Stretch, coverage: float, now: float) -> bool:
        """Whether less than half a truth can be expected still to come."""
        left = stretch.n * (1.0 - coverage)
        return left * self.delays.outstanding(now - stretch.end, self.horizon) < 0.5

    def _due(
        self, stretch: Stretch, value: FloatArray, band: FloatArray, final: BoolArray
    ) -> float:
        """The age by which what is not known will be too little to reach the nearest limit; the
        error of the rest shrinks as the root of its share."""
        room = self.taught.limits.room(value)
        with np.errstate(all="ignore"):  # a band may be 0, a limit infinite
            share = np.minimum((room / (SURE * band)) ** 2, 1.0)
        left = np.where(final | np.isnan(share), 1.0, share)
        last = self.delays.last(stretch.n, self.horizon)
        return min(self.delays.when(1.0 - float(left.min())), last)

    def _gaps(self, stretch: Stretch, here: _Rows, settled: bool) -> Gaps | None:
        """Scores the estimate once, by those predictions whose truths came, if these are enough:
        nearly all that are thought to come, or half of all when no more will."""
        soon = here.coverage[0] >= _NEARLY * self.delays.coverage(self.horizon)
        enough = here.told.sum() >= max(self.least, stretch.n * _HALF)
        if stretch.told or not enough or not (soon or settled):
            return None
        stretch.told = True
        lesson = self._lesson(stretch)
        guess = lesson.restated(np.zeros_like(here.known), here.told, here.answers)
        truth = lesson.restated(here.known, np.zeros_like(here.told), here.answers)
        return self.trusts.score(_ROW, guess, truth)


class _Rows(NamedTuple):
    """Stretches as arrays, one row each."""

    scored: IntArray
    known: IntArray
    told: IntArray
    unknown: IntArray
    answers: FloatArray
    coverage: FloatArray

    @classmethod
    def of(cls, kind: Kind, stretches: Sequence[Stretch]) -> _Rows:
        scored = np.stack([each.scored for each in stretches])
        known = np.stack([each.truths.known for each in stretches])
        told = kind.told(known)
        # A truth too many for its cell, of a prediction that came late, leaves none unknown.
        unknown = np.maximum(scored - told, 0)
        n = np.maximum(np.array([each.n for each in stretches]), 1)
        answers = kind.answers(scored, np.array([each.positives for each in stretches]))
        return cls(scored, known, told, unknown, answers, np.minimum(told.sum(axis=1) / n, 1.0))

    def row(self, row: int) -> _Rows:
        """One stretch, as one row."""
        part = slice(row, row + 1)
        return _Rows(
            self.scored[part],
            self.known[part],
            self.told[part],
            self.unknown[part],
            self.answers[part],
            self.coverage[part],
        )
