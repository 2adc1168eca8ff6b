"""Distances of many series from their references, in standard errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.arithmetic import filled, most, score
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import judged, signs
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.banks.score_bank import ScoreBank
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.reference_z import ReferenceZ


class ReferenceZBank(ScoreBank):
    """`ReferenceZ` over many series."""

    def __init__(self, detector: ReferenceZ, columns: int) -> None:
        self._min_effect = detector.min_effect
        super().__init__(detector, columns)

    def loop(self) -> Callable[..., Any]:
        from watchkeeper.detectors.banks import reference_z_fast  # of use only with numba

        return reference_z_fast.judge.compiled

    def own(self) -> tuple[list[float], list[int]]:
        return [self._min_effect], []

    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        looked = enough & np.isfinite(samples.expected)
        limit = self.limit(self._threshold, self.firing(held))
        normal = self.scaled(samples.expected, looked)
        change = self.scaled(samples.value, looked) - normal
        looked &= ~self._unknown(samples)
        far = looked & self.passing(change, normal, limit)
        scored = filled(far, self._scores(samples, far, change[far], normal[far]))
        return judged(
            enough,
            self.sustained(held, samples.start, looked, self.statistic(scored) > limit),
            statistic=self.statistic(scored),
            threshold=limit,
            expected=samples.expected,
            direction=signs(scored > 0),
        )

    def _unknown(self, samples: Columns) -> BoolArray:
        """Where the noise is not known, and not known to be none."""
        error = self._error(samples.value, samples.stderr)
        unknown = (error == 0.0) & (samples.stderr != 0.0)
        if self._share:
            unknown &= samples.n <= 0  # a share's noise is never 0
        return np.asarray(unknown)

    def _scores(
        self, samples: Columns, far: BoolArray, change: FloatArray, normal: FloatArray
    ) -> FloatArray:
        value, n, stderr = samples.value[far], samples.n[far], samples.stderr[far]
        noise = self.noise_of(value, n, stderr, normal)
        spread = self.error_of(value, n, stderr, normal) * np.sqrt(np.maximum(n, 1))
        noise = most(noise, self._min_effect * spread / self._threshold)
        return score(change, self.unit(normal, noise))
