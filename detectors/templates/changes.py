"""Which templates come more or less often than before, and which no longer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.templates import evidence
from watchkeeper.detectors.templates.history import ALL, MIX, History, Ring
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray, Window

MORE, LESS, GONE = 1, -1, 3  # what `History.alarm` says

LEARN = 20  # windows of a template before its counts are judged
_BUSY = 1.5  # standard scores of all lines from which on both must agree
_MANY = 1.5  # times its longest gap before, and a template may be gone
_ODD = 1.0  # standard scores that are not as before, once an alarm is on
_CALM = 3  # windows in a row that are as before and end an alarm
_HELD = 240  # windows after which what has changed is normal


class Changed(NamedTuple):
    """A template, by number, that is not as before: how, since when, lines now and usually, and
    the weight of that: log10 of the evidence when it was found, or, where it is gone, -log10 of the
    probability of that by chance."""

    number: int
    kind: int
    since: float
    value: float
    usual: float
    weight: float


@dataclass(frozen=True, slots=True)
class Changes:
    """Judges windows of a history's rows, by two tests: who is gone, and whose counts are others.
    Each has one false alarm in `budget` windows of all rows together. Learns from the windows."""

    history: History
    budget: float

    def judge(
        self, window: Window, values: FloatArray, shares: FloatArray, salt: int, ready: bool
    ) -> list[Changed]:
        """One window's values of each row, and their shares; nothing is found until `ready`.
        `salt` is the window's own number, for deciding ties."""
        history = self.history
        # As they will be remembered, so that what is the same is equal.
        counts, parts = values.astype(np.float32), shares.astype(np.float32)
        up, down, judged = self._scores(counts, parts, salt)
        down = np.where(np.arange(len(history)) == history.rows[MIX], np.inf, down)
        before = history.alarm.copy()
        self._go_on(up, down)
        free = judged & (history.alarm == 0) & (before == 0)
        factors = evidence.factors(up, down)
        for side, name in enumerate(("up", "down")):
            held = getattr(history, name)
            held[free] = evidence.grown(held[free], factors[free, side])
        if ready:
            self._alarm(free, window.start)
            self._miss(values, window)
        else:
            history.up[:] = history.down[:] = 0.0
        self._arrive(values)
        found = self._found(values)
        history.write(counts, parts, history.alarm == 0)
        return found

    def _scores(
        self, values: Ring, shares: Ring, salt: int
    ) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Of each row the score that speaks for more, that for less, and if it knows enough."""
        history = self.history
        u = np.array([evidence.uniform(each, salt) for each in history.numbers])
        valid = history.valid
        by_count = evidence.scores(evidence.ranks(values, history.counts, valid, u))
        by_share = evidence.scores(evidence.ranks(shares, history.shares, valid, u))
        steady = _variation(history.counts, valid) <= _variation(history.shares, valid)
        up = down = np.where(steady, by_count, by_share)
        if abs(by_count[history.rows[ALL]]) >= _BUSY:
            # To bet less than the score allows is always fair.
            up, down = np.minimum(by_count, by_share), np.maximum(by_count, by_share)
        judged = valid >= LEARN
        judged[history.rows[ALL]] = False
        return up, down, judged

    def _go_on(self, up: FloatArray, down: FloatArray) -> None:
        """Ends alarms over what is as before again, and over what has become normal."""
        history = self.history
        for row in np.flatnonzero(history.alarm).tolist():
            kind = int(history.alarm[row])
            history.held[row] += 1
            odd = up[row] >= _ODD if kind == MORE else down[row] <= -_ODD
            history.calm[row] = 0 if odd else history.calm[row] + 1
            if kind != GONE and history.calm[row] >= _CALM:
                history.alarm[row] = history.held[row] = history.calm[row] = 0
            elif history.held[row] >= _HELD:
                history.begin_again(row)

    def _alarm(self, free: BoolArray, since: float) -> None:
        """Once the evidence of all together is enough: the rows that most of it is of."""
        history = self.history
        pairs = np.where(free[:, None], np.stack([history.up, history.down], axis=1), 0.0)
        rows = max(int(free.sum()), 1)
        total = float(pairs.sum())
        if total / (2 * rows) < self.budget:
            return
        left = 0.9 * total
        for place in np.argsort(-pairs, axis=None, kind="stable").tolist():
            row, side = divmod(place, 2)
            if left <= 0 or pairs[row, side] <= 0:
                break
            left -= float(pairs[row, side])
            history.alarm[row] = LESS if side else MORE
            history.since[row] = since
            history.weight[row] = math.log10(total / (2 * rows))
            history.held[row] = history.calm[row] = 0
        history.up[:] = history.down[:] = 0.0

    def _miss(self, values: FloatArray, window: Window) -> None:
        """Marks templates as gone that came often enough to be missed by now."""
        history = self.history
        gap = history.gap + 1
        p = self._gone(gap)
        gone = (values == 0) & (history.valid >= LEARN) & (history.alarm != GONE)
        gone &= (p * len(history) <= 1 / self.budget) & (gap > _MANY * history.longest)
        gone[[history.rows[MIX], history.rows[ALL]]] = False
        width = window.end - window.start
        for row in np.flatnonzero(gone).tolist():
            history.alarm[row] = GONE
            history.since[row] = window.start - width * int(history.gap[row])
            history.held[row] = history.calm[row] = 0

    def _gone(self, gap: IntArray) -> FloatArray:
        """The probability that so many windows in a row are without a template."""
        history = self.history
        present = (history.counts > 0).sum(axis=1)
        found: FloatArray = (1 - present / (history.valid + 1.0)) ** gap
        return found

    def _arrive(self, values: FloatArray) -> None:
        """Keeps the gaps between arrivals; whoever was gone and comes again is back."""
        history = self.history
        came = values > 0
        back = came & (history.alarm == GONE)
        history.alarm[back] = 0
        history.longest[came] = np.maximum(history.longest, history.gap)[came]
        history.gap[:] = np.where(came, 0, history.gap + 1)
        history.gap[[history.rows[MIX], history.rows[ALL]]] = 0

    def _found(self, values: FloatArray) -> list[Changed]:
        history = self.history
        usual = history.usual(history.counts)
        chance = np.log10(np.maximum(self._gone(history.gap), 1e-300))
        found = []
        for number, row in history.rows.items():
            kind = int(history.alarm[row])
            if kind:
                weight = float(-chance[row] if kind == GONE else history.weight[row])
                since, value = float(history.since[row]), float(values[row])
                found.append(Changed(number, kind, since, value, float(usual[row]), weight))
        return found


def _variation(ring: Ring, valid: IntArray) -> FloatArray:
    """How much each row varies about its mean: the squared coefficient of variation."""
    n = np.maximum(valid, 1)
    mean = ring.sum(axis=1, dtype=np.float64) / n
    square = (ring.astype(np.float64) ** 2).sum(axis=1) / n
    found: FloatArray = square / np.maximum(mean**2, 1e-300) - 1.0
    return found
