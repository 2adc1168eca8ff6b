"""Evidence of drift in shares of events: error rates, positive rates, missing values.

Ranks of zeros and ones are mostly lots, so shares have bets of their own: odds that are a multiple
of the running ones. One event at a time the bet is r / (1 - p + r p) if it is a hit, and
1 / (1 - p + r p) if not. A window of n events is the product over them, to the power of 1 / c where
windows vary c times as much as events that know nothing of each other would (quasi-likelihood,
McCullagh and Nelder, Generalized Linear Models, 2nd ed., 1989, chapter 9).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.sequential.exact import exp, ln
from watchkeeper.detectors.sequential.kept import Kept, evident
from watchkeeper.detectors.sequential.layout import Fields, Records
from watchkeeper.detectors.sequential.values import LARGEST, MOST
from watchkeeper.detectors.sequential.whiten import (
    RANK_SLOWEST,
    Calibration,
    calibration,
    moved,
)
from watchkeeper.detectors.types import Direction

_RATIOS = (0.35, 0.6, 0.8, 1.25, 1.5, 1.75, 2.3, 4.0)  # of odds
_WEIGHTS = (0.4, 0.6, 0.5, 0.6, 1.2, 2.0, 3.0, 0.4)
_OVERSHOOT = 1.14  # as in `bets`
RAREST = 20  # hits, and misses, that are learned before the first bet
LONGEST = 5_000  # events after which bets begin in any case
VARIANCE_SLOWEST = 1.0 / 200  # share of the dispersion that the newest window makes up
DISPERSED = 4.0  # standard errors beyond which dispersion counts
FAR = 25.0  # squared deviations beyond which a window's is counted as that


def rate_fields(kinds: int = len(_RATIOS)) -> Fields:
    """72 bytes and 8 for each bet: events and hits (which fade beyond `memory`), windows, their
    dispersion, the correlation of their deviations, and the evidence."""
    counts = ("windows", "bets")
    numbers = ("n", "hits", "dispersion", "rank_mean", "rank_variance", "rank_covariance")
    return [
        *((name, "<i8") for name in counts),
        *((name, "<f8") for name in (*numbers, "rank_last")),
        ("evidence", "<f8", (kinds,)),
    ]


class RateEvidence(Kept):
    """The Shiryaev-Roberts e-detector of shares, over many series."""

    name: ClassVar[str] = "rates"

    def __init__(
        self,
        direction: Direction = "either",
        *,
        start: int = 255,
        memory: float = 1e6,
        most: float = MOST,
    ) -> None:
        """`start` events are learned before the first bet, and more until 20 of the rarer kind or
        5,000 are; of more than `memory` the older count less; evidence ends at `most`."""
        kept = [r for r in _RATIOS if direction == "either" or (r > 1.0) == (direction == "up")]
        weights = [w for r, w in zip(_RATIOS, _WEIGHTS, strict=True) if r in kept]
        self._ratios = np.array(kept)
        self._weights = np.array(weights) / sum(weights) * _OVERSHOOT
        self._start, self._memory, self._most = float(start), float(memory), most
        super().__init__(rate_fields(len(kept)))

    @property
    def settings(self) -> list[float]:
        """What compiled loops take of what was said: start, memory, most."""
        return [self._start, self._memory, self._most]

    @property
    def tables(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The ratios of odds that are bet on, their weights, and the ratios' logarithms."""
        return self._ratios, self._weights, ln(self._ratios)

    def update(
        self, rows: IntArray, hits: FloatArray, n: FloatArray, learn: BoolArray | None = None
    ) -> FloatArray:
        """Takes in n events of each series with so many hits, no series twice; all arrays (R,).

        Gives the evidence after. Where n is not positive, or hits are not within 0..n, nothing is
        taken in.
        """
        self.reach(rows)
        held = self.parts[0][rows]
        learned = np.ones(len(rows), dtype=np.bool_) if learn is None else learn
        result = self.advance(held, hits, n, learned)
        self.parts[0][rows] = held
        return result

    def advance(
        self, held: Records, hits: FloatArray, n: FloatArray, learn: BoolArray
    ) -> FloatArray:
        """As `update`, with the records themselves (R,), which are changed in place."""
        with np.errstate(all="ignore"):
            told = (n > 0.0) & (hits >= 0.0) & (hits <= n) & (n < 1e15)
        which = np.flatnonzero(told)
        some = held[which]
        self._take(some, hits[which], n[which], learn[which])
        held[which] = some
        return self.total(held)

    def total(self, held: Records) -> FloatArray:
        """The evidence of records (R,)."""
        total = np.zeros(len(held))
        for j, weight in enumerate(self._weights.tolist()):
            total = total + weight * held["evidence"][:, j]
        return total

    def calibrated(self, rows: IntArray) -> IntArray:
        """A number of `Calibration` for each of these series (R,)."""
        self.reach(rows)
        return rate_calibration(self.parts[0][rows])

    def seed(self, rows: IntArray, hits: FloatArray, n: FloatArray) -> None:
        """Adds events of a reference to what is learned; all (R,)."""
        self.reach(rows)
        self.parts[0]["n"][rows] += n
        self.parts[0]["hits"][rows] += hits

    def sound(self, parts: list[Records]) -> bool:
        return evident(parts[0]) and rates_sound(parts[0])

    def _take(self, held: Records, hits: FloatArray, n: FloatArray, learn: BoolArray) -> None:
        p, seen, known = running(held), held["n"], held["hits"]
        rarest = np.minimum(known, seen - known)
        betting = (seen >= self._start) & ((rarest >= RAREST) | (seen >= LONGEST))
        spread = dispersion(held, n)
        sums = (1.0 + held["evidence"]) * self._bets(p, hits, n, spread)
        sums = np.minimum(sums, self._most)
        held["evidence"] = np.where(betting[:, None], sums, held["evidence"])
        deviation = (hits - n * p) / np.sqrt(n * p * (1.0 - p))
        _watch(held, deviation, betting, learn | ~betting, n)
        learn = learn | ~betting
        keep = np.where(seen + n > self._memory, self._memory / (seen + n), 1.0)
        held["n"] = np.where(learn, (seen + n) * keep, seen)
        held["hits"] = np.where(learn, (known + hits) * keep, known)

    def _bets(
        self, p: FloatArray, hits: FloatArray, n: FloatArray, spread: FloatArray
    ) -> FloatArray:
        """What each bet makes of each window: (R, kinds)."""
        one = (n == 1.0)[:, None]
        ratios = self._ratios[None, :]
        base = (1.0 - p)[:, None] + ratios * p[:, None]
        single = np.where(hits[:, None] > 0.5, ratios, 1.0) / base
        if one.all():
            return np.asarray(single)
        power = hits[:, None] * ln(ratios) - n[:, None] * ln(base)
        return np.where(one, single, exp(np.minimum(power / spread[:, None], LARGEST)))


def running(held: Records) -> FloatArray:
    """The rate so far, half an event of each kind added."""
    return np.asarray((held["hits"] + 0.5) / (held["n"] + 1.0))


def rate_calibration(held: Records) -> IntArray:
    """What is known of each record: numbers of `Calibration`. A rate that is 0 all the time, or as
    good as, falls from window to window as half an event is shared by ever more: that resembles
    what was before, but says nothing about alarms."""
    rarest = np.minimum(held["hits"], held["n"] - held["hits"])
    known = calibration(held["rank_variance"], held["rank_covariance"], held["bets"])
    return np.where(rarest < RAREST, int(Calibration.LEARNING), known)


def dispersion(held: Records, n: FloatArray) -> FloatArray:
    """How many times as much as independent events windows vary, at least 1, where it is sure."""
    windows = np.minimum(held["windows"], 2.0 / VARIANCE_SLOWEST)
    sure = 1.0 + DISPERSED * np.sqrt(2.0 / np.maximum(windows, 1.0))
    return np.where((held["dispersion"] > sure) & (n > 1.0), held["dispersion"], 1.0)


def _watch(
    held: Records, deviation: FloatArray, betting: BoolArray, learn: BoolArray, n: FloatArray
) -> None:
    """Learns how much windows vary around the rate, and whether they resemble the ones before."""
    seen = held["windows"]
    rate = np.maximum(1.0 / (seen + 1).astype(np.float64), VARIANCE_SLOWEST)
    square = np.minimum(deviation * deviation, FAR * np.maximum(held["dispersion"], 1.0))
    known = learn & (n > 1.0) & (held["n"] > 0.0)
    moved_to = held["dispersion"] + rate * (square - held["dispersion"])
    held["dispersion"] = np.where(known, moved_to, held["dispersion"])
    held["windows"] = seen + known
    names = ("rank_mean", "rank_variance", "rank_covariance", "rank_last")
    old = tuple(held[name] for name in names)
    new = moved(old, deviation, held["bets"], RANK_SLOWEST)
    for name, before, after in zip(names, old, new, strict=True):
        held[name] = np.where(betting, after, before)
    held["bets"] = held["bets"] + betting


def rates_sound(held: Records) -> bool:
    """Whether counts and moments are such as events can leave."""
    names = ("n", "hits", "dispersion", "rank_mean", "rank_variance", "rank_covariance")
    numbers = [held[name] for name in (*names, "rank_last")]
    counts = (held["hits"] >= 0.0) & (held["hits"] <= held["n"]) & (held["dispersion"] >= 0.0)
    counts &= (held["windows"] >= 0) & (held["bets"] >= 0) & (held["rank_variance"] >= 0.0)
    return bool(np.isfinite(numbers).all() and counts.all())
