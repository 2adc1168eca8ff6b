"""When truths come: the share of predictions labelled by their age, learned while labels come."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from watchkeeper.detectors.types import FloatArray, IntArray, StateError

DELAYS = 64
# Upper ends of the bins of delays in seconds, from one second to eight years.
UPPER: FloatArray = 1.36 ** np.arange(DELAYS, dtype=np.float64)
LEAST = 30  # predictions at risk from which a bin is believed


def delay_counts(delays: FloatArray) -> IntArray:
    """How many labels came after which delay (seconds), shape (DELAYS,).

    A delay below zero, of a label that was there first, counts as none; the longest bin takes
    all that is longer; what is no number is left out.
    """
    known = delays[~np.isnan(delays)]
    bins = np.searchsorted(UPPER, np.maximum(known, 0.0), side="left")
    return np.bincount(np.minimum(bins, DELAYS - 1), minlength=DELAYS)


class Delays:
    """A life table of labels: in each bin of delay, how many predictions were without a label when
    they reached it (`risk`) and how many of these got theirs in it (`came`), shape (DELAYS,) each.

    Predictions that are still young are counted as far as they have come, so that the table is
    not biased towards the labels that are quick (Kaplan and Meier, JASA 53, 1958). The counts are
    sums: neither the order of windows nor the cut of time into steps is of account.

    >>> table = Delays()
    >>> table.aged(100, delay_counts(np.repeat([0.5, 100.0], 40)), 0.0, 200.0)
    >>> round(table.coverage(150.0), 6), table.when(0.5) < 120, table.when(0.9)
    (0.8, True, inf)
    """

    def __init__(self) -> None:
        self.risk: IntArray = np.zeros(DELAYS, dtype=np.int64)
        self.came: IntArray = np.zeros(DELAYS, dtype=np.int64)

    @classmethod
    def of(cls, ages: FloatArray, delays: FloatArray) -> Delays:
        """The table of single predictions: how old each is, and after how long its label came, both
        in seconds; NaN where it has none yet."""
        table = cls()
        passed = np.searchsorted(UPPER, ages, side="right")  # bins that it has grown through
        labelled = np.isfinite(delays)
        came = np.searchsorted(UPPER, np.where(labelled, np.maximum(delays, 0.0), np.inf))
        through = np.minimum(passed, came + 1)  # those that it was at risk in
        lasting = np.bincount(through, minlength=DELAYS + 1)
        table.risk = np.cumsum(lasting[::-1])[::-1][1 : DELAYS + 1]
        told = came[labelled & (came < passed)]
        table.came = np.bincount(told, minlength=DELAYS)[:DELAYS]
        return table

    def aged(self, n: int, by_delay: IntArray, before: float, now: float) -> None:
        """n predictions, of which `by_delay` have their label, grew from age `before` to `now`."""
        passed = (before < UPPER) & (now >= UPPER)
        earlier = np.cumsum(by_delay) - by_delay
        left = np.maximum(n - earlier, 0)
        self.risk[passed] += left[passed]
        self.came[passed] += np.minimum(by_delay, left)[passed]

    def coverage(self, age: float) -> float:
        """The share of predictions expected to have their label at an age in seconds."""
        return 1.0 - float(np.interp(age, np.append(0.0, UPPER), self._left()))

    def when(self, share: float) -> float:
        """The age at which a share is expected to have its label; infinite where never seen."""
        left = self._left()
        reached = np.flatnonzero(1.0 - left >= share)
        if not len(reached):
            return math.inf
        k = int(reached[0])
        if k == 0:
            return 0.0
        ages = np.append(0.0, UPPER)
        part = (left[k - 1] - (1.0 - share)) / (left[k - 1] - left[k])
        return float(ages[k - 1] + min(max(part, 0.0), 1.0) * (ages[k] - ages[k - 1]))

    @classmethod
    def of_dump(cls, stored: bytes) -> Delays:
        """The table that `dump` gave. Raises `StateError` where it cannot be that."""
        table = cls()
        table.load(stored)
        return table

    @classmethod
    def sum(cls, tables: Iterable[Delays]) -> Delays:
        """One table of the predictions of several."""
        whole = cls()
        for each in tables:
            whole.risk, whole.came = whole.risk + each.risk, whole.came + each.came
        return whole

    def outstanding(self, age: float, horizon: float) -> float:
        """Of predictions of this age without a label, the share still to get it before `horizon`.

        What no prediction was old enough to show is taken to come: 1 there.
        """
        if age >= horizon:
            return 0.0
        ahead = (age < UPPER) & (np.append(0.0, UPPER[:-1]) < horizon)
        if np.any(self.risk[ahead] < LEAST):
            return 1.0
        return 1.0 - float(np.prod(1.0 - self.came[ahead] / self.risk[ahead]))

    def last(self, n: int, horizon: float) -> float:
        """The age at which less than half a truth of n predictions is thought to be still to come;
        the horizon where nothing older was seen."""
        left, begin = self._left(), np.append(0.0, UPPER[:-1])
        bins = int(np.count_nonzero(begin < horizon))
        certain = np.logical_and.accumulate(self.risk[:bins][::-1] >= LEAST)[::-1]
        done = np.flatnonzero(certain & (n * (left[:bins] - left[bins]) < 0.5))
        return float(begin[done[0]]) if len(done) else horizon

    def dump(self) -> bytes:
        """The table as little-endian numbers."""
        return np.concatenate([self.risk, self.came]).astype("<i8").tobytes()

    def load(self, stored: bytes) -> None:
        """Takes up what `dump` gave. Raises `StateError` where it cannot be that."""
        if len(stored) != 16 * DELAYS:
            raise StateError(f"stored delays have {len(stored)} bytes, not {16 * DELAYS}")
        risk, came = np.frombuffer(stored, dtype="<i8").astype(np.int64).reshape(2, DELAYS)
        if np.any(came < 0) or np.any(came > risk):
            raise StateError("stored delays are damaged: more labels than predictions")
        self.risk, self.came = risk, came

    def _left(self) -> FloatArray:
        """The share without a label at age 0 and at the end of each bin."""
        hazard = np.divide(self.came, self.risk, out=np.zeros(DELAYS), where=self.risk > 0)
        return np.append(1.0, np.cumprod(1.0 - hazard))
