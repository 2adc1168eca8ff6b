"""Control charts on the smoothed values of many series."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.arithmetic import most, score, spread_of, within
from watchkeeper.detectors.banks.bank import Fields
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.banks.score_bank import ScoreBank
from watchkeeper.detectors.ewma import MOST, OUTLIER, STEP, Ewma
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray


class EwmaBank(ScoreBank):
    """`Ewma` over many series."""

    def __init__(self, detector: Ewma, columns: int) -> None:
        self._weight, self._warm_up = detector.weight, detector.warm_up
        self._memory = detector.memory
        self._narrower = math.sqrt(detector.weight / (2.0 - detector.weight))
        super().__init__(detector, columns)

    def loop(self) -> Callable[..., Any]:
        from watchkeeper.detectors.banks import ewma_fast  # of use only with numba

        return ewma_fast.judge.compiled

    def own(self) -> tuple[list[float], list[int]]:
        return [self._weight, self._narrower], [self._warm_up, self._memory]

    def fields(self) -> Fields:
        numbers = ("mean", "variance", "smooth", "smooth_variance")
        return [*super().fields(), *((name, "<f8") for name in numbers), ("seen", "<i8")]

    def sound(self, parts: list[State]) -> bool:
        state = parts[0]
        variances = (state["variance"] >= 0.0) & (state["smooth_variance"] >= 0.0)
        return super().sound(parts) and bool((variances & (state["seen"] >= 0)).all())

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        mean, smooth = held["mean"].copy(), held["smooth"]
        value = self.scaled(samples.value, enough)
        learning = enough & (held["seen"] < self._warm_up)
        change = value - mean
        push = self._weight * (change - smooth)
        noise, smooth_noise = self._noises(held, samples, mean)
        unit = self.unit(mean, smooth_noise)
        limit = self._threshold * unit
        moved = within(smooth + within(push, STEP * limit), MOST * limit)
        looked = enough & ~learning
        found = self.scored(held, samples, enough, looked, score(moved, unit), mean)
        near = mean + within(change, OUTLIER * noise)
        near_smooth = within(moved, OUTLIER * smooth_noise)
        if learning.any():
            first = smooth + np.where(held["seen"] > 0, push, 0.0)
            near, near_smooth = (
                np.where(learning, value, near),
                np.where(learning, first, near_smooth),
            )
            moved = np.where(learning, first, moved)
        np.copyto(smooth, moved, where=enough)
        self._learn(held, learning | (looked & (held["run"] == 0)), near - mean, near_smooth)
        return found

    def _noises(
        self, held: State, samples: Columns, mean: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The noise of a window and that of the smoothed value."""
        spread = spread_of(held["variance"], held["seen"])
        error = self.error_of(samples.value, samples.n, samples.stderr, mean)
        noise = most(spread, error)
        return noise, most(noise * self._narrower, np.sqrt(held["smooth_variance"]))

    def _learn(self, held: State, where: BoolArray, change: FloatArray, smooth: FloatArray) -> None:
        seen = np.minimum(held["seen"] + 1, self._memory)
        rate = 1.0 / seen
        variance = (1.0 - rate) * (held["variance"] + rate * change * change)
        spread = held["smooth_variance"]
        spread = spread + rate * (smooth * smooth - spread)
        new = {"mean": held["mean"] + rate * change, "variance": variance, "seen": seen}
        for name, values in {**new, "smooth_variance": spread}.items():
            np.copyto(held[name], values, where=where)
