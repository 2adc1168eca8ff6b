"""Silence in many streams at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.arithmetic import bounded, each, least, most
from watchkeeper.detectors.banks.bank import Fields
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import LevelBank, judged, signs
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.banks.sheet import Sheet
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.silence import DAY, LONGEST, RECENT, Silence


class SilenceBank(LevelBank):
    """`Silence` over many series."""

    def __init__(self, detector: Silence, columns: int) -> None:
        self._warm_up, self._patience = detector.warm_up, detector.patience
        self._missed = -math.log(detector.alpha)
        super().__init__(detector, columns)

    def loop(self) -> Callable[..., Any]:
        from watchkeeper.detectors.banks import silence_fast  # of use only with numba

        return silence_fast.judge.compiled

    def settings(self) -> tuple[FloatArray, IntArray]:
        whole = np.append(super().settings()[1], self._warm_up)
        return np.array([self._missed, self._patience]), whole

    def beside(self, sheet: Sheet) -> tuple[Any, ...]:
        seconds = sheet.at - sheet.start
        days = least(seconds / DAY, 30.0)
        return seconds, _power(days), _power(-days / 7.0)

    def fields(self) -> Fields:
        numbers = ("rate", "low", "quiet", "longest")
        return [*super().fields(), *((name, "<f8") for name in numbers), ("seen", "<i8")]

    def sound(self, parts: list[State]) -> bool:
        return super().sound(parts) and bool((parts[0]["seen"] >= 0).all())

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        seconds = (samples.at - samples.start)[:, None]
        looked = enough & (seconds > 0.0) & (seconds < math.inf)
        heard = looked & (samples.value > 0.0)
        silent = looked & ~heard
        self._hear(held, samples.value, seconds, heard)
        quiet = least(held["quiet"] + seconds, LONGEST)
        np.copyto(held["quiet"], quiet, where=silent)
        missed = held["low"] * quiet
        limit = most(self._missed, held["low"] * self._patience * held["longest"])
        known = silent & (held["seen"] >= self._warm_up)
        return judged(
            enough,
            self.sustained(held, samples.start, known, missed > limit),
            statistic=missed,
            threshold=limit,
            expected=held["rate"] * seconds,
            direction=signs(np.zeros(enough.shape, dtype=np.bool_)),
        )

    def _hear(self, held: State, value: FloatArray, seconds: FloatArray, heard: BoolArray) -> None:
        silence = np.where(self.firing(held), 0.0, held["quiet"])
        seen = np.minimum(held["seen"] + 1, max(self._warm_up, RECENT))
        weight = 1.0 / np.minimum(seen, RECENT)
        rate, low = held["rate"], held["low"]
        new_rate = rate + weight * (bounded(value) / (seconds + silence) - rate)
        days = least(seconds / DAY, 30.0)
        later = np.where(seen >= self._warm_up, low * _power(days), math.inf)
        new_low = np.where(low != 0.0, least(new_rate, later), new_rate)
        longest = most(silence, held["longest"] * _power(-days / 7.0))
        changed = {"rate": new_rate, "low": new_low, "longest": longest, "seen": seen}
        for name, new in changed.items():
            np.copyto(held[name], new, where=heard)
        held["quiet"][heard], held["run"][heard] = 0.0, 0


def _power(exponents: FloatArray) -> FloatArray:
    """Powers of two; nearly all windows of a call are of one width."""
    if len(exponents) == 1:
        return each(lambda exponent: 2.0**exponent, exponents)
    unique, place = np.unique(exponents, return_inverse=True)
    return each(lambda exponent: 2.0**exponent, unique)[place].reshape(exponents.shape)
