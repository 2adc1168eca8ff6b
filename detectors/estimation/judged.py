"""What is said of a version by stretches of time, while the truths of its predictions come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from watchkeeper.detectors.estimation.bins import score_bins
from watchkeeper.detectors.estimation.calibration import Curves
from watchkeeper.detectors.estimation.classified import Measured, restated
from watchkeeper.detectors.estimation.delays import Delays
from watchkeeper.detectors.estimation.trust import Trusts
from watchkeeper.detectors.estimation.verdict import Limits, Verdicts, Why, verdicts
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

TARGETS = ("accuracy", "f1", "roc_auc")
BINS = 128  # of scores, each being four neighbouring score bins
WIDE = SCORE_BINS // BINS
SIZE = 2_000  # predictions of a stretch
KEPT = 32  # stretches whose truths are awaited; the oldest is settled when one more comes
FEWEST = 10  # normal stretches before others are judged
LEARNED = 30  # stretches that teach what is normal
SIGMAS = 3.0  # deviations of normal stretches to either limit

_NEARLY = 0.9  # of the truths that are thought to come
_HALF = 0.5  # of all truths, without which nothing can be said to be realised
_ROW = np.zeros(1, dtype=np.int64)
_COUNT, _MEAN, _SQUARES = range(3)


class Kept(NamedTuple):
    """Kept predictions of one version, in any order: when each was made, its score (NaN: none),
    whether it was answered positive, whether its truth is known, was positive, and how long it
    took, in seconds."""

    at: FloatArray
    score: FloatArray
    said: BoolArray
    known: BoolArray
    truth: BoolArray
    wait: FloatArray

    def take(self, rows: BoolArray) -> Kept:
        """The chosen rows."""
        return Kept(*(column[rows] for column in self))  # type: ignore[arg-type]


class Stretch(msgspec.Struct, array_like=True):
    """From `start` to `end` (seconds since the epoch), of `n` predictions. `told`: its estimate was
    scored by the truths; `said`: which measures were given already, as bits."""

    start: float
    end: float
    n: int
    told: bool = False
    said: int = 0


class Said(NamedTuple):
    """What a stretch measured in the end: `expected` is normal, and `error` a third of the way to
    the limits."""

    stretch: Stretch
    target: str
    value: float
    error: float
    expected: float
    why: Why
    coverage: float


class Judged(msgspec.Struct, array_like=True):
    """The stretches of one version that are not settled, oldest first; 1 kB or so.

    The one that grows `begun` where the last one ended; all were looked at when time had come to
    `seen`. `record` is how estimates fared, as `Trusts` holds it, and `normal` (3, M) the count,
    the mean and the sum of squared deviations of normal stretches. `last` (M,) is the end of the
    newest stretch of which each measure was given, and `worse` has a bit for those that were below
    their limits then. None ends before `until`.
    """

    begun: float = math.nan
    seen: float = -math.inf
    held: list[Stretch] = []
    record: list[list[float]] = msgspec.field(default_factory=lambda: _nothing(len(TARGETS), 4))
    normal: list[list[float]] = msgspec.field(default_factory=lambda: _nothing(3, len(TARGETS)))
    worse: int = 0
    until: float = -math.inf
    last: list[float] = msgspec.field(default_factory=lambda: [-math.inf] * len(TARGETS))

    def __post_init__(self) -> None:
        shapes = np.shape(self.record), np.shape(self.normal)
        if shapes != ((len(TARGETS), 4), (3, len(TARGETS))) or len(self.last) != len(TARGETS):
            raise ValueError("stretches have a record of another shape")
        if not (np.isfinite(self.record).all() and np.isfinite(self.normal).all()):
            raise ValueError("stretches have a record that is no number")

    def heir(self) -> Judged:
        """What another version begins with: the same is normal."""
        return Judged(normal=[list(each) for each in self.normal])

    def forget(self) -> None:
        """What is normal is learned anew."""
        self.normal, self.worse = _nothing(3, len(TARGETS)), 0

    @property
    def new(self) -> bool:
        """Whether there is nothing to be kept."""
        return self.until == -math.inf and not self.normal[0][0]

    def well_after(self, target: str, since: float) -> bool:
        """Whether the newest stretch of which a measure was given ended later and was not below
        the limits."""
        column = TARGETS.index(target)
        return self.last[column] > since and not self.worse & 1 << column

    def due(self, bound: float, after: float = -math.inf) -> bool:
        """Whether time has come to another bound of stretches; `after` is the one after it."""
        self.until = after
        if not self.begun <= bound:
            self.begun = self.seen = bound
        return bound > self.seen

    def lost(self, before: float) -> None:
        """Predictions from before this time are not kept any more: a stretch begins no sooner."""
        self.begun = max(self.begun, before)

    def grown(self, kept: Kept, bound: float) -> int:
        """The predictions of the stretch that grows, up to a bound."""
        return int(np.count_nonzero((kept.at >= self.begun) & (kept.at < bound)))

    def judge(
        self, kept: Kept, curve: Curves, bound: float, horizon: float, *, learns: bool
    ) -> list[Said]:
        """What has become known by this bound, of predictions `kept` with what was known by then.

        `curve` (one row) is what scores are worth. Truths are waited for no longer than `horizon`
        seconds. `learns`: normal stretches may teach; not those of bad times.
        """
        self.seen = bound
        n = self.grown(kept, bound)
        if n >= SIZE:
            self.held.append(Stretch(self.begun, bound, n))
            self.begun = bound
        if not self.held:
            return []
        delays = Delays.of(bound - kept.at, np.where(kept.known, kept.wait, np.nan))
        rows = _Rows.of(kept, self.held)
        settled = self._settled(rows, delays, bound, horizon)
        now = self._opinions(rows, curve, settled, _NEARLY * delays.coverage(horizon))
        found = self._verdicts(now)
        said = self._given(found, now)
        if learns:
            self._learn(found, now)
        self.held = [s for s, done in zip(self.held, settled.tolist(), strict=True) if not done]
        return said

    def _opinions(self, rows: _Rows, curve: Curves, settled: BoolArray, thought: float) -> _Now:
        """What is measured now: where nothing is awaited any more, of those with a truth alone."""
        known, share = rows.known, rows.share
        curves = curve.take(np.zeros(len(known), dtype=np.int64))
        unknown = np.where(settled[:, None], 0, rows.scored - known.sum(axis=1))
        now, trusts = restated(known, unknown, share, curves, TARGETS), Trusts(len(TARGETS))
        trusts.sums = np.array([self.record], dtype=np.float64)
        for place, each in enumerate(self.held):
            soon = rows.coverage[place] >= thought or settled[place]
            if not each.told and soon and rows.coverage[place] >= _HALF:
                each.told = True
                _score(trusts, rows, place, curve)
        self.record = trusts.sums[0].tolist()
        return _Now(now, trusts, rows.coverage, rows.scored.sum(axis=1), settled)

    def _settled(self, rows: _Rows, delays: Delays, bound: float, horizon: float) -> BoolArray:
        """Of which no truth is awaited any more: less than half a one can be expected to come."""
        late = np.array([delays.outstanding(bound - s.end, horizon) for s in self.held])
        crowded = np.arange(len(self.held)) < len(self.held) - KEPT
        return np.asarray(crowded | (rows.left * late < 0.5))

    def _verdicts(self, now: _Now) -> Verdicts:
        row = np.zeros(len(now.settled), dtype=np.int64)
        return verdicts(
            now.measured.value,
            now.trusts.widened(row, now.measured, 1.0 - now.coverage),
            self._limits(),
            np.repeat(now.trusts.trusted(_ROW), len(row), axis=0),
            enough=now.n >= SIZE // 2,
            settled=now.realised,
        )

    def _given(self, found: Verdicts, now: _Now) -> list[Said]:
        """What is final and was not given before. That all is well half of the truths must say: an
        estimate cannot know that answers are not worth any more what they were."""
        limits, said = self._limits(), []
        final = found.final & (found.outside | (now.coverage >= _HALF)[:, None])
        for place, column in np.argwhere(final).tolist():
            each, bit = self.held[place], 1 << column
            if each.said & bit:
                continue
            each.said |= bit
            if each.end >= self.last[column]:
                below = found.side[place, column] < 0
                self.worse = self.worse | bit if below else self.worse & ~bit
                self.last[column] = each.end
            error = (limits.high[column] - limits.low[column]) / (2.0 * SIGMAS)
            value, why = float(now.measured.value[place, column]), found.why[place][column]
            parts = (value, float(error), float(limits.expected[column]), why)
            said.append(Said(each, TARGETS[column], *parts, float(now.coverage[place])))
        return said

    def _limits(self) -> Limits:
        """From `FEWEST` normal stretches on, farther away while these are not all."""
        count, mean, squares = np.array(self.normal)
        freedom = np.maximum(count - 1.0, 1.0)
        wider = _students(freedom) * np.sqrt(1.0 + 1.0 / np.maximum(count, 1.0))
        room = np.where(count < LEARNED, wider, SIGMAS) * np.sqrt(squares / freedom)
        few = count < FEWEST
        low, high = np.where(few, -np.inf, mean - room), np.where(few, np.inf, mean + room)
        return Limits(low, high, np.where(few, np.nan, mean))

    def _learn(self, found: Verdicts, now: _Now) -> None:
        count, mean, squares = np.array(self.normal)
        for place in np.flatnonzero(now.realised).tolist():
            value = now.measured.value[place]
            takes = np.isfinite(value) & (found.side[place] == 0) & (count < LEARNED)
            count = count + takes
            off = np.where(takes, value - mean, 0.0)
            mean = mean + off / np.maximum(count, 1.0)
            squares = squares + off * np.where(takes, value - mean, 0.0)
        self.normal = [count.tolist(), mean.tolist(), squares.tolist()]


class _Now(NamedTuple):
    """What is known of stretches, one row each."""

    measured: Measured
    trusts: Trusts
    coverage: FloatArray
    n: IntArray
    settled: BoolArray

    @property
    def realised(self) -> BoolArray:
        """Those whose truths say what they did."""
        return np.asarray(self.settled & (self.coverage >= _HALF))


def _nothing(rows: int, columns: int) -> list[list[float]]:
    return [[0.0] * columns for _ in range(rows)]


class _Rows(NamedTuple):
    """Stretches as arrays, one row each: what was scored (R, BINS), of which truths are known (R,
    2, BINS), the share answered positive (R, BINS), that of all with a truth, and how many have
    none (R,). Of predictions that are not kept any more nothing is known."""

    scored: IntArray
    known: IntArray
    share: FloatArray
    coverage: FloatArray
    left: FloatArray

    @classmethod
    def of(cls, kept: Kept, held: Sequence[Stretch]) -> _Rows:
        place = np.searchsorted([each.start for each in held], kept.at, side="right") - 1
        ends = np.array([each.end for each in held])
        bins = score_bins(kept.score) // WIDE
        inside = (place >= 0) & (kept.at < ends[np.maximum(place, 0)]) & np.isfinite(kept.score)
        inside &= bins >= 0
        kept, at = kept.take(inside), place[inside] * BINS + bins[inside]
        size, shape = len(held) * BINS, (len(held), BINS)
        scored, said = (np.bincount(each, minlength=size) for each in (at, at[kept.said]))
        truths = [
            np.bincount(at[kept.known & (kept.truth == truth)], minlength=size).reshape(shape)
            for truth in (False, True)
        ]
        known = np.stack(truths, axis=1)
        share, scored = (said / np.maximum(scored, 1)).reshape(shape), scored.reshape(shape)
        n, told = scored.sum(axis=1), known.sum(axis=(1, 2))
        return cls(scored, known, share, told / np.maximum(n, 1), (n - told).astype(np.float64))


def _score(trusts: Trusts, rows: _Rows, place: int, curve: Curves) -> None:
    """Scores the estimate of a stretch by those predictions whose truth came."""
    known, share = rows.known[[place]], rows.share[[place]]
    told, none = known.sum(axis=1), np.zeros_like(known)
    guess = restated(none, told, share, curve, TARGETS)
    truth = restated(known, np.zeros_like(told), share, curve, TARGETS)
    trusts.score(_ROW, guess, truth)


def _students(freedom: FloatArray) -> FloatArray:
    """Deviations within which a value of Student's distribution lies as often as one of the normal
    within `SIGMAS` (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5)."""
    z, v = SIGMAS, freedom
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return np.asarray(z + first / v + second / v**2 + third / v**3)
