"""Takes the memory out of a series in compiled loops: as `whiten`, to the last bit."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.scores import LARGE
from watchkeeper.detectors.sequential import layout, whiten

_LARGE, _FAR, _MOST = LARGE, whiten.FAR, whiten.MOST_MEMORY
_SLOWEST, _LAG_LIMIT = whiten.SLOWEST, whiten.LAG_LIMIT
_WHITE, _WHITENED = whiten.WHITE, whiten.WHITENED
_SEEN, _LEARNED, _STAGE, _VALUES = layout.SEEN, layout.LEARNED, layout.STAGE, layout.VALUES


@kernel()
def whitened(whole: IntArray, real: FloatArray, first: int, a: int, x: float) -> float:
    """What the values before do not explain, where a series has memory."""
    at = first + _VALUES
    rest = x
    if whole[a, first + _STAGE] == _WHITENED:
        rest = (x - real[a, at]) - _memory_of(real[a, at + 1], real[a, at + 2]) * real[a, at + 3]
    moved(real, at, a, x, whole[a, first + _SEEN], _SLOWEST)
    return rest


@kernel()
def moved(real: FloatArray, at: int, a: int, x: float, seen: int, slowest: float) -> None:
    """As `whiten.moved`, in the places from `at` on."""
    mean, variance = real[a, at], real[a, at + 1]
    rate = max(1.0 / np.float64(seen + 1), slowest)
    far = _FAR * np.sqrt(variance) if seen > 20 else _LARGE
    if not far > 0.0:
        far = _LARGE
    change = min(max(x - mean, -far), far)
    real[a, at] = mean + rate * change
    real[a, at + 1] = (1.0 - rate) * (variance + rate * (change * change))
    if seen == 0:
        real[a, at + 2], real[a, at + 3] = 0.0, 0.0
    else:
        covariance = real[a, at + 2]
        real[a, at + 2] = covariance + rate * (change * real[a, at + 3] - covariance)
        real[a, at + 3] = change


@kernel(apart=True)
def judge_memory(whole: IntArray, real: FloatArray, first: int, a: int, whitens: bool) -> None:
    """Says once whether the values of a series resemble each other."""
    at = first + _VALUES
    share = _memory_of(real[a, at + 1], real[a, at + 2])
    memory = share * share * np.float64(whole[a, first + _SEEN]) > _LAG_LIMIT * _LAG_LIMIT
    if memory and whitens:
        whole[a, first + _STAGE], whole[a, first + _LEARNED] = _WHITENED, 0
    else:
        whole[a, first + _STAGE] = _WHITE


@kernel()
def _memory_of(variance: float, covariance: float) -> float:
    if not variance > 0.0:
        return 0.0
    return min(max(covariance / variance, -_MOST), _MOST)
