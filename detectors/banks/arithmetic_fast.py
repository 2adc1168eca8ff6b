"""The closed forms of `detectors.scores` and `ScoreDetector` for compiled loops, to the last bit.

They are written as they are there, one number at a time: what Python rounds alike, machine code
does too, and logarithms come from the same library.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.banks.level_bank import NEEDED
from watchkeeper.detectors.banks.score_bank import (
    DIRECTION,
    FLOOR,
    LOG,
    MIN_CHANGE,
    MIN_RATIO,
    SHARE,
    THRESHOLD,
)
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.level_detector import HYSTERESIS
from watchkeeper.detectors.score_detector import HUGE, TINY
from watchkeeper.detectors.scores import (
    LARGE,
    LARGEST_SCORE,
    LARGEST_SINGLE,
    LEAST_STEP,
    PSEUDO,
    STEP,
)

Table = npt.NDArray[Any]

_HYSTERESIS, _HUGE, _TINY = HYSTERESIS, HUGE, TINY
_LARGE, _LARGEST_SCORE, _PSEUDO = LARGE, LARGEST_SCORE, PSEUDO
_LARGEST_SINGLE, _STEP, _LEAST_STEP = LARGEST_SINGLE, STEP, LEAST_STEP
_NEEDED, _DIRECTION, _SHARE, _LOG = NEEDED, DIRECTION, SHARE, LOG
_THRESHOLD, _MIN_CHANGE, _MIN_RATIO, _FLOOR = THRESHOLD, MIN_CHANGE, MIN_RATIO, FLOOR
ENOUGH, FOUND, SIGN = 0, 1, 2  # layers of a page's marks


@kernel()
def least(first: float, second: float) -> float:
    """As `arithmetic.least`."""
    return first if first <= second or second != second else second


@kernel()
def most(first: float, second: float) -> float:
    """As `arithmetic.most`."""
    return first if first >= second or second != second else second


@kernel()
def bounded(value: float) -> float:
    """As `scores.bounded`; NaN stays NaN."""
    if value < -_LARGE:
        return -_LARGE
    return _LARGE if value > _LARGE else value


@kernel()
def single(value: float) -> float:
    """As `scores.single`; NaN stays NaN."""
    if value < -_LARGEST_SINGLE:
        return -_LARGEST_SINGLE
    if value > _LARGEST_SINGLE:
        return _LARGEST_SINGLE
    return np.float64(np.float32(value))


@kernel()
def rounding(normal: float, times: float) -> float:
    """As `scores.rounding`."""
    return abs(normal) * _STEP * times + _LEAST_STEP


@kernel()
def within(change: float, limit: float) -> float:
    """As `arithmetic.within`."""
    if limit > 0.0:
        if change < -limit:
            return -limit
        if change > limit:
            return limit
    return change


@kernel()
def score(change: float, unit: float) -> float:
    """As `scores.score`."""
    if change == 0.0:
        return 0.0
    if unit <= abs(change) / _LARGEST_SCORE:
        return math.copysign(_LARGEST_SCORE, change)
    return change / unit


@kernel()
def expected_share(share: float, n: int) -> float:
    """As `scores.expected_share`."""
    return (most(0.0, least(1.0, share)) * n + _PSEUDO) / (n + 2 * _PSEUDO)


@kernel()
def share_error(expected: float, n: int) -> float:
    """As `scores.share_error`."""
    p = expected_share(expected, n)
    return math.sqrt(p * (1.0 - p) / max(n, 1))


@kernel()
def _term(x: float, p: float) -> float:
    return x * math.log(x / p) if x > 0.0 else 0.0


@kernel()
def share_noise(value: float, expected: float, n: int) -> float:
    """As `scores.share_noise`."""
    p, x = expected_share(expected, n), most(0.0, least(1.0, value))
    likelihood = _term(x, p) + _term(1.0 - x, 1.0 - p)
    root = math.sqrt(most(0.0, 2.0 * n * likelihood))
    change = abs(x - expected)
    if change > 0.0 and root > 1e-3:
        return change / root
    return share_error(expected, n)


@kernel()
def spread_of(variance: float, seen: int) -> float:
    """As `arithmetic.spread_of`."""
    return math.sqrt(variance * seen / max(seen - 1, 1))


@kernel()
def scaled(value: float, of: Table) -> float:
    """As `ScoreDetector.scaled`; `of` are a bank's settings, as integers."""
    return math.log(most(value, _TINY)) if of[_LOG] else bounded(value)


@kernel()
def plain(value: float, of: Table) -> float:
    """As `ScoreDetector.plain`."""
    return math.exp(least(value, 700.0)) if of[_LOG] else value


@kernel()
def error(value: float, stderr: float, of: Table) -> float:
    """The standard error that a sample says, on the scale of judgement; 0 if unknown."""
    known = stderr if 0.0 <= stderr < math.inf else 0.0
    return least(known / most(value, _TINY), _HUGE) if of[_LOG] else known


@kernel()
def error_of(value: float, n: int, stderr: float, normal: float, of: Table) -> float:
    """As `ScoreDetector.error_of`."""
    if of[_SHARE] and n > 0:
        return share_error(normal, n)
    return error(value, stderr, of)


@kernel()
def noise_of(value: float, n: int, stderr: float, normal: float, of: Table) -> float:
    """As `ScoreDetector.noise_of`."""
    if of[_SHARE] and n > 0:
        return share_noise(value, normal, n)
    return error(value, stderr, of)


@kernel()
def unit(normal: float, noise: float, settings: Table, of: Table) -> float:
    """As `ScoreDetector.unit`."""
    if of[_LOG]:
        return most(noise, settings[_FLOOR])
    matters = most(settings[_MIN_CHANGE], settings[_MIN_RATIO] * abs(normal))
    return most(noise, least(matters / settings[_THRESHOLD], _HUGE))


@kernel()
def statistic(scored: float, of: Table) -> float:
    """How far the score is in the direction that matters."""
    if of[_DIRECTION] > 0:
        return scored
    return -scored if of[_DIRECTION] < 0 else abs(scored)


@kernel()
def lowered(threshold: float, firing: bool) -> float:
    """As `LevelDetector.limit`."""
    return threshold * _HYSTERESIS if firing else threshold


@kernel()
def sustained(
    floats: Table, whole: Table, row: int, at: int, start: float, beyond: bool, of: Table
) -> bool:
    """As `LevelDetector.sustained_finding`: counts a window that was looked at. The state of the
    series begins at `at` of the row, with `since` and `run`."""
    if not beyond:
        whole[row, at + 1] = 0
        return False
    run = whole[row, at + 1]
    if run == 0 or start < floats[row, at]:
        floats[row, at] = start
    run = min(run + 1, of[_NEEDED])
    whole[row, at + 1] = run
    return bool(run >= of[_NEEDED])


@kernel()
def note(
    numbers: Table,
    marks: Table,
    i: int,
    j: int,
    measured: float,
    limit: float,
    normal: float,
    since: float,
    sign: int,
) -> None:
    """Writes a finding down."""
    numbers[0, i, j], numbers[1, i, j] = measured, limit
    numbers[2, i, j], numbers[3, i, j] = normal, since
    marks[FOUND, i, j], marks[SIGN, i, j] = 1, sign
