"""Base of banks of score detectors: distances from a normal value in units of noise."""

from __future__ import annotations

import math

import numpy as np

from watchkeeper.detectors.banks.arithmetic import (
    bounded,
    each,
    known,
    least,
    most,
    score,
    share_error,
    share_noise,
)
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import LevelBank, judged, signs
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.score_detector import HUGE, TINY, ScoreDetector

# Places of settings that are integers, and of those that are numbers; a bank's own are behind.
DIRECTION, SHARE, LOG = 2, 3, 4
THRESHOLD, MIN_CHANGE, MIN_RATIO, FLOOR = 0, 1, 2, 3
OWN_WHOLE, OWN = 5, 4
_SIGNS = {"up": 1, "down": -1, "either": 0}


class ScoreBank(LevelBank):
    """The arithmetic of `ScoreDetector` over arrays of any shape."""

    def __init__(self, detector: ScoreDetector, columns: int) -> None:
        self._threshold = detector.threshold
        self._direction = detector.direction
        self._min_change, self._min_ratio = detector.min_change, detector.min_ratio
        self._share, self._log = detector.share, detector.log
        super().__init__(detector, columns)

    def settings(self) -> tuple[FloatArray, IntArray]:
        own, own_whole = self.own()
        numbers = [self._threshold, self._min_change, self._min_ratio, self._floor(), *own]
        flags = [_SIGNS[self._direction], self._share, self._log, *own_whole]
        _, whole = super().settings()
        return np.array(numbers), np.concatenate([whole, np.array(flags, dtype=np.int64)])

    def own(self) -> tuple[list[float], list[int]]:
        """The settings that only this kind of bank has."""
        return [], []

    def _floor(self) -> float:
        """The smallest change of a logarithm that matters, as noise."""
        return min(math.log1p(self._min_ratio) / self._threshold, HUGE)

    def scaled(self, values: FloatArray, where: BoolArray) -> FloatArray:
        """The values on the scale on which they are judged, right where it is said."""
        if not self._log:
            return bounded(values)
        result = np.full(values.shape, np.nan)
        result[where] = each(math.log, most(values[where], TINY))
        return result

    def plain(self, scaled: FloatArray, where: BoolArray) -> FloatArray:
        """The values of numbers on the scale of judgement, right where it is said."""
        if not self._log:
            return scaled
        result = np.full(scaled.shape, np.nan)
        result[where] = each(math.exp, least(scaled[where], 700.0))
        return result

    def noise_of(
        self, value: FloatArray, n: IntArray, stderr: FloatArray, normal: FloatArray
    ) -> FloatArray:
        """The noise of one window where `normal` is true, exact far from it; 0 if unknown."""
        error = self._error(value, stderr)
        return np.where(n > 0, share_noise(value, normal, n), error) if self._share else error

    def error_of(
        self, value: FloatArray, n: IntArray, stderr: FloatArray, normal: FloatArray
    ) -> FloatArray:
        """The standard error of one window where `normal` is true; 0 if unknown."""
        error = self._error(value, stderr)
        return np.where(n > 0, share_error(normal, n), error) if self._share else error

    def unit(self, normal: FloatArray, noise: FloatArray | float) -> FloatArray:
        """The noise, of which the smallest change that matters is a floor."""
        if self._log:
            return most(noise, self._floor())
        matters = most(self._min_change, self._min_ratio * np.abs(normal))
        return most(noise, least(matters / self._threshold, HUGE))

    def statistic(self, scored: FloatArray) -> FloatArray:
        """How far the score is in the direction that matters."""
        if self._direction == "up":
            return scored
        return -scored if self._direction == "down" else np.abs(scored)

    def passing(self, change: FloatArray, normal: FloatArray, limit: FloatArray) -> BoolArray:
        """Where the change is large enough to pass the limit if there were no noise at all.

        Noise only makes a score smaller, so nothing else need be measured elsewhere.
        """
        return self.statistic(score(change, self.unit(normal, 0.0))) > limit

    def scored(
        self,
        held: State,
        samples: Columns,
        enough: BoolArray,
        looked: BoolArray,
        scored: FloatArray,
        normal: FloatArray,
    ) -> Judged:
        """The judgement of samples with these scores where they were looked at; `normal` is on
        the scale of judgement."""
        statistic = self.statistic(scored)
        limit = self.limit(self._threshold, self.firing(held))
        sustained = self.sustained(held, samples.start, looked, statistic > limit)
        return judged(
            enough,
            sustained,
            statistic=statistic,
            threshold=limit,
            expected=self.plain(normal, sustained[0]),
            direction=signs(scored > 0),
        )

    def _error(self, value: FloatArray, stderr: FloatArray) -> FloatArray:
        error = known(stderr)
        return least(error / most(value, TINY), HUGE) if self._log else error
