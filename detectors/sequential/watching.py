"""What the detectors by name and their banks share: windows of many series, judged by evidence.

A window's value is one value of its series. Evidence counts up to three times the level, and a
finding ends at a third of it: so it does end once the fault is over, and evidence begins anew.
While a detector fires, nothing is learned. What is normal is the mean of the calm windows, what is
now the mean of the last five or so: between them lies the change that must matter in practice.
Evidence of one that does not begins anew at a tenth of the level, while normal follows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.sequential.advance import Given, advance, evidence
from watchkeeper.detectors.sequential.categories import (
    BINS,
    CategoryEvidence,
    categories_sound,
    category_calibration,
    category_fields,
    folded,
    summed,
    usual_shares,
)
from watchkeeper.detectors.sequential.chance import Words
from watchkeeper.detectors.sequential.exact import ln
from watchkeeper.detectors.sequential.kept import evident
from watchkeeper.detectors.sequential.layout import (
    Fields,
    Records,
    evidence_fields,
    sketch_fields,
)
from watchkeeper.detectors.sequential.rates import (
    RateEvidence,
    rate_calibration,
    rate_fields,
    rates_sound,
    running,
)
from watchkeeper.detectors.sequential.values import rules_of, sound
from watchkeeper.detectors.sequential.whiten import bounded, calibration
from watchkeeper.detectors.types import Direction

ABOVE = 3.0  # times the level: where evidence ends; and a finding at this part of it
HARMLESS = 0.1  # times the level: where evidence of a change that does not matter begins anew
NEWEST = 0.2  # weight of the newest window in what is now
NEWEST_FIRING = 1 / 3  # while there is a finding, so that its end is soon seen
BELOW = math.log(ABOVE)  # by which the logarithm must be below the level for a finding to end
KNOWN = 1e6  # events for which a reference's share stands
TINY = 1e-300
_LEVELS: Fields = [("followed", "<i8"), ("normal", "<f8"), ("newest", "<f8")]


Counts = npt.NDArray[np.int32] | npt.NDArray[np.int64]


class Floors(NamedTuple):
    """The smallest changes that matter: in the value's unit, and as a share of what is normal."""

    change: float
    ratio: float

    def passed(self, change: FloatArray, normal: FloatArray) -> BoolArray:
        """Where a change is large enough."""
        least = np.maximum(self.change, self.ratio * np.abs(normal))
        return np.asarray(np.abs(change) >= least)


class Passed(NamedTuple):
    """What evidence says of each window (W,): ln M; whether the change would matter; what is normal
    (NaN: no single value); and whether the change is upwards."""

    statistic: FloatArray
    matters: BoolArray
    normal: FloatArray
    up: BoolArray


class Level(NamedTuple):
    """A, and how many `series` share it: evidence counts so many times higher, so that one series
    can be strong enough for all."""

    windows: float
    series: int = 1

    @property
    def most(self) -> float:
        """Where evidence ends."""
        return self.windows * self.series * ABOVE


class Values:
    """Windows' values, ranked among those before."""

    def __init__(
        self, direction: Direction, level: Level, warm_up: int, memory: int, floors: Floors
    ) -> None:
        self._rules = rules_of(direction, warm_up, memory, True, level.most)
        self._level, self._memory, self._floors = level.windows, memory, floors

    def fields(self) -> Fields:
        """What each window needs."""
        return [*_LEVELS, *evidence_fields(self._rules.bets.kinds)]

    def history(self) -> Fields:
        """What is long."""
        return sketch_fields()

    def sound(self, held: Records, history: Records) -> bool:
        """Whether a state read back can be worked with."""
        return _levels_sound(held) and evident(held) and sound(held, history)

    def logarithm(self, held: Records) -> FloatArray:
        """ln M of records (W,)."""
        return _logarithm(evidence(held, np.arange(len(held)), self._rules))

    def judge(
        self,
        held: Records,
        history: Records,
        at: tuple[IntArray, IntArray],
        keys: Words,
        value: FloatArray,
        n: IntArray,
        calm: BoolArray,
    ) -> Passed:
        """Judges windows (W,): `at` are the places of their series among the records and among the
        histories. Learns where it is `calm`."""
        salts = n.astype(np.uint64)[:, None]
        given = Given(*at, keys, value[:, None], salts, calm)
        after = advance(held, history, given, self._rules)[:, 0]
        some = held[at[0]]
        normal, change = _follow(some, bounded(value), calm, self._memory)
        matters = self._floors.passed(change, normal)
        _end(some, after, matters, calm, self._level)
        held[at[0]] = some
        return _passed(after, matters, normal, change)


class Rates:
    """Windows' shares of n events, against the running share or that of the reference."""

    def __init__(
        self,
        direction: Direction,
        level: Level,
        warm_up: int,
        memory: int,
        floors: Floors,
        reference: bool,
    ) -> None:
        self._evidence = RateEvidence(
            direction, start=warm_up, memory=float(memory), most=level.most
        )
        self._level, self._floors, self._reference = level.windows, floors, reference
        self.tables = self._evidence.tables

    @property
    def settings(self) -> tuple[list[float], list[int]]:
        """What compiled loops take of what was said, as numbers and as integers."""
        return [self._level, *self._floors, *self._evidence.settings], [int(self._reference)]

    def fields(self) -> Fields:
        """What each window needs."""
        kinds = self._evidence.parts[0].dtype["evidence"].shape[0]
        return [*_LEVELS, *rate_fields(kinds)]

    def sound(self, held: Records) -> bool:
        """Whether a state read back can be worked with."""
        return _levels_sound(held) and evident(held) and rates_sound(held)

    def logarithm(self, held: Records) -> FloatArray:
        """ln M of records (W,)."""
        return _logarithm(self._evidence.total(held))

    def judge(
        self,
        held: Records,
        value: FloatArray,
        n: IntArray,
        expected: FloatArray,
        calm: BoolArray,
    ) -> Passed:
        """Judges windows (W,) of as many records. Learns where it is `calm`."""
        share = np.minimum(np.maximum(value, 0.0), 1.0) + 0.0  # -0 as 0
        events, quiet = n.astype(np.float64), calm
        if self._reference:
            calm = _take_reference(held, expected) & False
        normal = running(held)
        evidence = self._evidence.advance(held, np.rint(share * events), events, calm)
        _follow(held, share, quiet, 1)
        change = held["newest"] - normal
        matters = self._floors.passed(change, normal)
        _end(held, evidence, matters, quiet, self._level)
        if self._reference:
            known = (expected >= 0.0) & (expected <= 1.0)
            evidence = np.where(known, evidence, 0.0)
        return _passed(evidence, matters, normal, change)


class Histograms:
    """Windows' histograms, against those before, which begin with the reference's."""

    def __init__(self, level: Level, warm_up: int, memory: int, min_effect: float) -> None:
        self._evidence = CategoryEvidence(
            BINS, start=warm_up, memory=float(memory), most=level.most
        )
        self._level, self._min_effect = level.windows, min_effect

    def fields(self) -> Fields:
        """What each window needs."""
        return category_fields(BINS)

    def sound(self, held: Records) -> bool:
        """Whether a state read back can be worked with."""
        return evident(held) and categories_sound(held)

    def logarithm(self, held: Records) -> FloatArray:
        """ln M of records (W,)."""
        return _logarithm(self._evidence.total(held))

    def judge(self, held: Records, counts: Counts, expected: Counts, calm: BoolArray) -> Passed:
        """Judges windows' counts (W, K) of as many records. Learns where it is `calm`."""
        first = held["n"] == 0.0
        begin = folded(expected.astype(np.float64), BINS) * first[:, None]
        held["usual"] = held["usual"] + begin
        held["n"] = held["n"] + summed(begin)
        evidence = self._evidence.advance(held, counts.astype(np.float64), calm)
        matters = _stability(held) >= self._min_effect
        _end(held, evidence, matters, calm, self._level)
        unknown = np.full(len(held), np.nan)
        return _passed(evidence, matters, unknown, np.zeros(len(held)))


def _take_reference(held: Records, expected: FloatArray) -> BoolArray:
    """Puts the reference's share in the place of the running one, where it is known."""
    known = (expected >= 0.0) & (expected <= 1.0)
    held["n"] = np.where(known, KNOWN, held["n"])
    held["hits"] = np.where(known, np.where(known, expected, 0.0) * KNOWN, held["hits"])
    return np.asarray(known)


def _follow(
    held: Records, value: FloatArray, calm: BoolArray, memory: int
) -> tuple[FloatArray, FloatArray]:
    """What was normal before the window, and how far from it the last windows are."""
    seen, normal, recent = held["followed"], held["normal"], held["newest"]
    weight = np.where(calm, NEWEST, NEWEST_FIRING)
    recent = np.where(seen > 0, recent + weight * (value - recent), value)
    normal = np.where(seen > 0, normal, value)
    rate = 1.0 / np.minimum(seen + 1, memory).astype(np.float64)
    learned = calm | (seen == 0)
    held["normal"] = np.where(learned, normal + rate * (value - normal), normal)
    held["followed"], held["newest"] = seen + 1, recent
    return normal, recent - normal


def _end(
    held: Records, evidence: FloatArray, matters: BoolArray, calm: BoolArray, level: float
) -> None:
    """Begins the evidence anew where a run of windows beyond the limit ends, or of such that
    matter: evidence of the fault would take long to fade. That of a change too small to matter
    begins anew before it is at the level: kept, it would make a finding of each flicker."""
    ended = ~matters & (~calm | (evidence >= level * HARMLESS))
    ended |= ~calm & (evidence < level / ABOVE)
    held["evidence"] = np.where(ended[:, None], 0.0, held["evidence"])


def _stability(held: Records) -> FloatArray:
    """The population stability index of the last windows against the usual."""
    usual = usual_shares(held)
    n = held["recent_n"]
    late = (held["recent"] + 4.0 * usual) / (n + 4.0)[:, None]
    return summed((late - usual) * ln(late / usual))


def calibration_of(held: Records) -> IntArray:
    """What is known of whether alarms of series (W,) are as rare as asked for: numbers of
    `Calibration`."""
    known = held.dtype.names or ()
    if "hits" in known:
        return rate_calibration(held)
    if "usual" in known:
        return category_calibration(held)
    return calibration(held["rank_variance"], held["rank_covariance"], held["bets"])


def _logarithm(evidence: FloatArray) -> FloatArray:
    return ln(np.maximum(evidence, TINY))


def _passed(
    evidence: FloatArray, matters: BoolArray, normal: FloatArray, change: FloatArray
) -> Passed:
    return Passed(_logarithm(evidence), matters, normal, change > 0.0)


def _levels_sound(held: Records) -> bool:
    finite = np.isfinite(held["normal"]) & np.isfinite(held["newest"])
    return bool((finite & (held["followed"] >= 0)).all())
