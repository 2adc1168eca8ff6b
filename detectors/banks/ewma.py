"""Control charts on the smoothed values of many series."""

from __future__ import annotations

import math

import numpy as np

from watchkeeper.detectors.banks.arithmetic import most as larger
from watchkeeper.detectors.banks.arithmetic import score, spread_of, within
from watchkeeper.detectors.banks.bank import Fields, State
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
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

    def fields(self) -> Fields:
        numbers = ("mean", "variance", "smooth", "smooth_variance")
        return [*super().fields(), *((name, "<f8") for name in numbers), ("seen", "<i4")]

    def sound(self, state: State) -> bool:
        variances = (state["variance"] >= 0.0) & (state["smooth_variance"] >= 0.0)
        return super().sound(state) and bool((variances & (state["seen"] >= 0)).all())

    def judge_enough(self, rows: IntArray, samples: Columns, enough: BoolArray) -> Judged:
        state = self._state
        seen, mean, smooth = (state[name][rows] for name in ("seen", "mean", "smooth"))
        value = self.scaled(samples.value, enough)
        learning = enough & (seen < self._warm_up)
        change = value - mean
        first = np.where(seen > 0, self._weight * (change - smooth), 0.0)
        noise, smooth_noise = self._noises(rows, samples, mean)
        limit = self._threshold * self.unit(mean, smooth_noise)
        moved = smooth + within(self._weight * (change - smooth), STEP * limit)
        moved = within(moved, MOST * limit)
        scored = score(moved, self.unit(mean, smooth_noise))
        found = self.scored(rows, samples, enough, enough & ~learning, scored, mean)
        calm = enough & ~learning & (state["run"][rows] == 0)
        near = mean + within(change, OUTLIER * noise)
        near_smooth = within(moved, OUTLIER * smooth_noise)
        new = np.where(learning, smooth + first, moved)
        state["smooth"][rows] = np.where(enough, new, smooth)
        learned = np.where(learning, value, near), np.where(learning, new, near_smooth)
        self._learn(rows, learning | calm, *learned)
        return found

    def _noises(
        self, rows: IntArray, samples: Columns, mean: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The noise of a window and that of the smoothed value."""
        state = self._state
        spread = spread_of(state["variance"][rows], state["seen"][rows])
        error = self.error_of(samples.value, samples.n, samples.stderr, mean)
        noise = larger(spread, error)
        learned = np.sqrt(state["smooth_variance"][rows])
        return noise, larger(noise * self._narrower, learned)

    def _learn(
        self, rows: IntArray, where: BoolArray, value: FloatArray, smooth: FloatArray
    ) -> None:
        names = ("seen", "mean", "variance", "smooth_variance")
        state = self._state
        old = {name: state[name][rows] for name in names}
        seen = np.minimum(old["seen"] + 1, self._memory)
        rate = 1.0 / seen
        change = value - old["mean"]
        mean = old["mean"] + rate * change
        variance = (1.0 - rate) * (old["variance"] + rate * change * change)
        spread = old["smooth_variance"]
        spread = spread + rate * (smooth * smooth - spread)
        for name, new in zip(names, (seen, mean, variance, spread), strict=True):
            state[name][rows] = np.where(where, new, old[name])
