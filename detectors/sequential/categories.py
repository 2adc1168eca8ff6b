"""Evidence of drift in histograms: categories, classes, the bins of a score.

Bets on a window's counts c of n events, against what has been seen before, counts m of N in all.
No drift is a Dirichlet-multinomial distribution around m, which knows how little N tells:

- a distribution of its own for this window, near the usual one: a Dirichlet-multinomial around
  m / N with a concentration well below N;
- the distribution of the last windows, mixed into the usual one at several shares.

The first find a sudden change at once, the second a small one that lasts. Windows that vary c times
as much as independent events count as if they had n / c events.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.sequential.exact import exp, ln, log_gamma
from watchkeeper.detectors.sequential.kept import Kept, evident
from watchkeeper.detectors.sequential.layout import Fields, Records
from watchkeeper.detectors.sequential.values import LARGEST, MOST
from watchkeeper.detectors.sequential.whiten import Calibration, calibration, moved

BINS = 64  # at most; further ones are counted into the last
_CONCENTRATIONS = (30.0, 300.0)
_SHARES = (0.2, 0.5, 0.9)  # of the last windows in the bet
_WEIGHTS = (0.15, 0.25, 0.2, 0.25, 0.15)
_CLOSEST = 0.25  # of N: the largest concentration
_VARIANCE_SLOWEST = 1.0 / 200
_DISPERSED = 4.0
_FAR = 25.0
OTHERS = 20  # events outside the largest category before windows can be said to resemble each other
FEWEST = 50.0  # windows at least that are remembered: the usual shares must be surer than the last


def category_fields(bins: int) -> Fields:
    """80 bytes, 40 of evidence, and 16 for each bin."""
    numbers = ("n", "dispersion", "spread", "rank_mean", "rank_variance")
    return [
        ("windows", "<i8"),
        ("bets", "<i8"),
        *((name, "<f8") for name in (*numbers, "rank_covariance", "rank_last", "recent_n")),
        ("evidence", "<f8", (len(_WEIGHTS),)),
        ("usual", "<f8", (bins,)),
        ("recent", "<f8", (bins,)),
    ]


class CategoryEvidence(Kept):
    """The Shiryaev-Roberts e-detector of categories and histograms, over many series."""

    name: ClassVar[str] = "categories"

    def __init__(
        self,
        bins: int = BINS,
        *,
        start: int = 255,
        recent: float = 10.0,
        memory: float = 1e6,
        most: float = MOST,
    ) -> None:
        """`start` events are learned before the first bet. The last `recent` windows or so are bet
        on. Of more than `memory` events, and 50 windows, the older count less; evidence ends at
        `most`."""
        self.bins = max(2, min(bins, BINS))
        self._start, self._memory, self._most = float(start), float(memory), most
        self._keep = 1.0 - 1.0 / max(recent, 1.0)
        super().__init__(category_fields(self.bins))

    def seed(self, rows: IntArray, counts: FloatArray) -> None:
        """Adds the counts of a reference (R, K) to what is usual."""
        self.reach(rows)
        folded_ = folded(counts, self.bins)
        self.parts[0]["usual"][rows] += folded_
        self.parts[0]["n"][rows] += summed(folded_)

    def update(
        self, rows: IntArray, counts: FloatArray, learn: BoolArray | None = None
    ) -> FloatArray:
        """Takes in a window's counts (R, K) of each series, no series twice; the evidence after.

        Negative counts are none, and of a window without any nothing is taken in. K may be less
        than `bins`, and must mean the same bins each time.
        """
        self.reach(rows)
        held = self.parts[0][rows]
        learned = np.ones(len(rows), dtype=np.bool_) if learn is None else learn
        result = self.advance(held, counts, learned)
        self.parts[0][rows] = held
        return result

    def advance(self, held: Records, counts: FloatArray, learn: BoolArray) -> FloatArray:
        """As `update`, with the records themselves (R,), which are changed in place."""
        seen = folded(counts, self.bins)
        which = np.flatnonzero(summed(seen) > 0.0)
        some = held[which]
        self._take(some, seen[which], learn[which])
        held[which] = some
        return self.total(held)

    def total(self, held: Records) -> FloatArray:
        """The evidence of records (R,)."""
        total = np.zeros(len(held))
        for j, weight in enumerate(_WEIGHTS):
            total = total + weight * held["evidence"][:, j]
        return total

    def calibrated(self, rows: IntArray) -> IntArray:
        """A number of `Calibration` for each of these series (R,)."""
        self.reach(rows)
        return category_calibration(self.parts[0][rows])

    def sound(self, parts: list[Records]) -> bool:
        return evident(parts[0]) and categories_sound(parts[0])

    def _take(self, held: Records, seen: FloatArray, learn: BoolArray) -> None:
        n, usual, total = summed(seen), held["usual"], held["n"]
        betting = total >= self._start
        learn = learn | ~betting
        size = effective(held, n)
        logs = self._bets(held, seen * (size / n)[:, None], size)
        sums = (1.0 + held["evidence"]) * exp(np.minimum(logs, LARGEST))
        sums = np.minimum(sums, self._most)
        held["evidence"] = np.where(betting[:, None], sums, held["evidence"])
        _watch(held, seen, n, betting, learn)
        whole, memory = total + n, np.maximum(self._memory, FEWEST * n)
        keep = np.where(whole > memory, memory / whole, 1.0)
        held["usual"] = np.where(learn[:, None], (usual + seen) * keep[:, None], usual)
        held["n"] = np.where(learn, whole * keep, total)
        held["recent"] = held["recent"] * self._keep + seen
        held["recent_n"] = held["recent_n"] * self._keep + n

    def _bets(self, held: Records, seen: FloatArray, n: FloatArray) -> FloatArray:
        """The logarithm of what each bet makes of each window: (R, kinds)."""
        q, total = usual_shares(held), held["n"] + 1.0
        late = (held["recent"] + 4.0 * q) / (held["recent_n"] + 4.0)[:, None]
        logs = np.zeros((len(n), len(_WEIGHTS)))
        used = seen > 0.0  # all else is a sum of zeros
        for j, share in enumerate(_SHARES, start=len(_CONCENTRATIONS)):
            logs[:, j] = _summed_where(used, partial(_tilted, share, seen, late / q))
        many = np.flatnonzero(n > 1.0)
        if len(many):
            logs[many] += self._pooled(seen[many], n[many], q[many], total[many])
        return logs

    def _pooled(
        self, seen: FloatArray, n: FloatArray, q: FloatArray, total: FloatArray
    ) -> FloatArray:
        """What knowing little of the usual shares, and concentrations, add to windows' bets: of
        one event nothing."""
        null = _pooled_log(seen, n, q, total)
        plain = summed(np.where(seen > 0.0, seen * ln(q), 0.0))
        logs = np.empty((len(n), len(_WEIGHTS)))
        for j, most in enumerate(_CONCENTRATIONS):
            logs[:, j] = _pooled_log(seen, n, q, np.minimum(total * _CLOSEST, most)) - null
        logs[:, len(_CONCENTRATIONS) :] = (plain - null)[:, None]
        return logs


def category_calibration(held: Records) -> IntArray:
    """What is known of each record: numbers of `Calibration`. Where as good as all events are of
    one category nothing varies, and what resembles what was before says nothing about alarms."""
    others = summed(held["usual"]) - held["usual"].max(axis=-1)
    known = calibration(held["rank_variance"], held["rank_covariance"], held["bets"])
    return np.where(others < OTHERS, int(Calibration.LEARNING), known)


def folded(counts: FloatArray, bins: int) -> FloatArray:
    """Counts (R, K) as (R, bins): zeros behind, or the rest in the last; none negative."""
    clean = np.minimum(np.maximum(np.nan_to_num(counts), 0.0), 1e15)
    have = clean.shape[1]
    if have > bins:
        rest = summed(clean[:, bins - 1 :])
        return np.concatenate([clean[:, : bins - 1], rest[:, None]], axis=1)
    return np.concatenate([clean, np.zeros((len(clean), bins - have))], axis=1)


def summed(values: FloatArray) -> FloatArray:
    """Sums over the last axis, one after another: rounded alike for any number of rows."""
    if not values.shape[-1]:
        return np.zeros(values.shape[:-1])
    return np.asarray(np.add.accumulate(values, axis=-1)[..., -1])


def usual_shares(held: Records) -> FloatArray:
    """The shares so far, one event more spread over the bins."""
    usual = held["usual"]
    return np.asarray((usual + 1.0 / usual.shape[-1]) / (held["n"] + 1.0)[:, None])


def effective(held: Records, n: FloatArray) -> FloatArray:
    """The events that a window counts for, less where windows vary more than events explain."""
    windows = np.minimum(held["windows"], 2.0 / _VARIANCE_SLOWEST)
    sure = 1.0 + _DISPERSED * held["spread"] / np.sqrt(np.maximum(windows, 1.0))
    much = (held["dispersion"] > sure) & (n > 1.0)
    return np.where(much, np.maximum(n / np.maximum(held["dispersion"], 1.0), 1.0), n)


def _pooled_log(seen: FloatArray, n: FloatArray, q: FloatArray, size: FloatArray) -> FloatArray:
    """ln P(counts) of a Dirichlet-multinomial of shares q, without the multinomial coefficient."""
    around, used = q * size[:, None], seen > 0.0
    parts = _summed_where(used, lambda at: log_gamma(around[at] + seen[at]) - log_gamma(around[at]))
    return np.asarray(log_gamma(size) - log_gamma(size + n) + parts)


def _tilted(share: float, seen: FloatArray, ratio: FloatArray, at: BoolArray) -> FloatArray:
    """The logarithms of bets on the last windows' shares, mixed in by so much."""
    return seen[at] * ln(1.0 + share * (ratio[at] - 1.0))


def _summed_where(where: BoolArray, values: Callable[[BoolArray], FloatArray]) -> FloatArray:
    """Sums over the last axis of what is computed only at some places."""
    table = np.zeros(where.shape)
    table[where] = values(where)
    return summed(table)


def _watch(
    held: Records, seen: FloatArray, n: FloatArray, betting: BoolArray, learn: BoolArray
) -> None:
    """Learns how much windows vary, and whether they resemble the ones before."""
    q, used = usual_shares(held), held["usual"] > 0.0
    expected = q * n[:, None]
    change = seen - expected
    freedom = np.maximum(used.sum(axis=1) - 1.0, 1.0)
    square = summed(np.where(used, change * change / expected, 0.0)) / freedom
    square = np.minimum(square, _FAR * np.maximum(held["dispersion"], 1.0))
    windows = held["windows"]
    rate = np.maximum(1.0 / (windows + 1).astype(np.float64), _VARIANCE_SLOWEST)
    known = learn & betting & (n > 1.0)
    new = held["dispersion"] + rate * (square - held["dispersion"])
    held["dispersion"] = np.where(known, new, held["dispersion"])
    held["spread"] = np.where(known, np.sqrt(2.0 / freedom), held["spread"])
    held["windows"] = windows + known
    slope = np.arange(seen.shape[1], dtype=np.float64)
    deviation = summed(change * slope) / np.sqrt(n)
    names = ("rank_mean", "rank_variance", "rank_covariance", "rank_last")
    old = tuple(held[name] for name in names)
    after = moved(old, deviation, held["bets"], 1.0 / 512)
    for name, before, value in zip(names, old, after, strict=True):
        held[name] = np.where(betting, value, before)
    held["bets"] = held["bets"] + betting


def categories_sound(held: Records) -> bool:
    """Whether counts and moments are such as windows can leave."""
    names = ("n", "dispersion", "spread", "rank_mean", "rank_variance", "rank_covariance")
    numbers = [held[name] for name in (*names, "rank_last", "recent_n")]
    counts = (held["n"] >= 0.0) & (held["dispersion"] >= 0.0) & (held["recent_n"] >= 0.0)
    counts &= (held["windows"] >= 0) & (held["bets"] >= 0) & (held["rank_variance"] >= 0.0)
    tables = [held["usual"], held["recent"]]
    fine = np.isfinite(tables).all() and all((table >= 0.0).all() for table in tables)
    return bool(np.isfinite(numbers).all() and counts.all() and fine)
