"""Silence in many streams at once."""

from __future__ import annotations

import math

import numpy as np

from watchkeeper.detectors.banks.arithmetic import bounded, each, least, most
from watchkeeper.detectors.banks.bank import Fields, State
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import LevelBank, judged, signs
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.silence import DAY, LONGEST, RECENT, Silence


class SilenceBank(LevelBank):
    """`Silence` over many series."""

    def __init__(self, detector: Silence, columns: int) -> None:
        self._warm_up, self._patience = detector.warm_up, detector.patience
        self._missed = -math.log(detector.alpha)
        super().__init__(detector, columns)

    def fields(self) -> Fields:
        numbers = ("rate", "low", "quiet", "longest")
        return [*super().fields(), *((name, "<f8") for name in numbers), ("seen", "<i4")]

    def sound(self, state: State) -> bool:
        return super().sound(state) and bool((state["seen"] >= 0).all())

    def judge_enough(self, rows: IntArray, samples: Columns, enough: BoolArray) -> Judged:
        seconds = (samples.at - samples.start)[:, None]
        looked = enough & (seconds > 0.0) & (seconds < math.inf)
        heard = looked & (samples.value > 0.0)
        state = self._state
        quiet = least(state["quiet"][rows] + seconds, LONGEST)
        self._hear(rows, samples.value, seconds, heard)
        silent = looked & ~heard
        state["quiet"][rows] = np.where(silent, quiet, state["quiet"][rows])
        low, rate = state["low"][rows], state["rate"][rows]
        missed = low * quiet
        limit = most(self._missed, low * self._patience * state["longest"][rows])
        known = silent & (state["seen"][rows] >= self._warm_up)
        return judged(
            enough,
            self.sustained(rows, samples.start, known, missed > limit),
            statistic=missed,
            threshold=limit,
            expected=rate * seconds,
            direction=signs(np.zeros(enough.shape, dtype=np.bool_)),
        )

    def _hear(
        self, rows: IntArray, value: FloatArray, seconds: FloatArray, heard: BoolArray
    ) -> None:
        state = self._state
        silence = np.where(self.firing(rows), 0.0, state["quiet"][rows])
        seen = np.minimum(state["seen"][rows] + 1, max(self._warm_up, RECENT))
        weight = 1.0 / np.minimum(seen, RECENT)
        rate, low = state["rate"][rows], state["low"][rows]
        new_rate = rate + weight * (bounded(value) / (seconds + silence) - rate)
        days = least(seconds / DAY, 30.0)
        later = np.where(seen >= self._warm_up, low * _power(days), math.inf)
        new_low = np.where(low != 0.0, least(new_rate, later), new_rate)
        longest = most(silence, state["longest"][rows] * _power(-days / 7.0))
        zero = np.zeros(())
        changed = {"quiet": zero, "rate": new_rate, "low": new_low, "longest": longest}
        for name, new in {**changed, "seen": seen, "run": zero}.items():
            state[name][rows] = np.where(heard, new, state[name][rows])


def _power(exponents: FloatArray) -> FloatArray:
    """Powers of two; nearly all windows of a call are of one width."""
    unique, place = np.unique(exponents, return_inverse=True)
    return each(lambda exponent: 2.0**exponent, unique)[place].reshape(exponents.shape)
