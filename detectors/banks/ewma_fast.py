"""`Ewma` over many series in one compiled loop."""

from __future__ import annotations

import math

from watchkeeper.detectors.banks.arithmetic_fast import (
    ENOUGH,
    Table,
    error_of,
    lowered,
    most,
    note,
    plain,
    scaled,
    score,
    spread_of,
    statistic,
    sustained,
    unit,
    within,
)
from watchkeeper.detectors.banks.level_bank import LEAST, NEEDED
from watchkeeper.detectors.banks.score_bank import OWN, OWN_WHOLE, THRESHOLD
from watchkeeper.detectors.banks.sheet import example
from watchkeeper.detectors.ewma import MOST, OUTLIER, STEP
from watchkeeper.detectors.fast import kernel

WORDS = 7  # of a series' state, in the order of `EwmaBank.fields`
_MEAN, _VARIANCE, _SMOOTH, _SMOOTH_VARIANCE, _SEEN = 2, 3, 4, 5, 6
_LEAST, _NEEDED, _THRESHOLD = LEAST, NEEDED, THRESHOLD
_WEIGHT, _NARROWER = OWN, OWN + 1  # of the settings as numbers
_WARM_UP, _MEMORY = OWN_WHOLE, OWN_WHOLE + 1  # of those as integers
_STEP, _MOST, _OUTLIER = STEP, MOST, OUTLIER


@kernel(example)
def judge(
    rows: Table,
    columns: Table,
    floats: Table,
    whole: Table,
    start: Table,
    given: Table,
    value: Table,
    n: Table,
    stderr: Table,
    expected: Table,
    settings: Table,
    of: Table,
    numbers: Table,
    marks: Table,
    first: int,
) -> None:
    """As `EwmaBank.judge_enough`."""
    threshold, weight = settings[_THRESHOLD], settings[_WEIGHT]
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(columns)):
            c = columns[j]
            if not (given[i, c] and math.isfinite(value[i, c]) and n[i, c] >= of[_LEAST]):
                continue
            marks[ENOUGH, i, first + j] = 1
            at = j * WORDS
            here = scaled(value[i, c], of)
            mean, smooth = floats[row, at + _MEAN], floats[row, at + _SMOOTH]
            seen = whole[row, at + _SEEN]
            spread = floats[row, at + _SMOOTH_VARIANCE]
            learning = seen < of[_WARM_UP]
            change = here - mean
            push = weight * (change - smooth)
            noise = most(
                spread_of(floats[row, at + _VARIANCE], seen),
                error_of(value[i, c], n[i, c], stderr[i, c], mean, of),
            )
            smooth_noise = most(noise * settings[_NARROWER], math.sqrt(spread))
            if learning:
                near, moved = here, smooth + (push if seen > 0 else 0.0)
                near_smooth = moved
            else:
                measure = unit(mean, smooth_noise, settings, of)
                limit = threshold * measure
                moved = within(smooth + within(push, _STEP * limit), _MOST * limit)
                scored = score(moved, measure)
                said = statistic(scored, of)
                bound = lowered(threshold, whole[row, at + 1] >= of[_NEEDED])
                if sustained(floats, whole, row, at, start[i], said > bound, of):
                    sign = 1 if scored > 0 else -1
                    since = floats[row, at]
                    note(numbers, marks, i, first + j, said, bound, plain(mean, of), since, sign)
                near = mean + within(change, _OUTLIER * noise)
                near_smooth = within(moved, _OUTLIER * smooth_noise)
            floats[row, at + _SMOOTH] = moved
            if learning or whole[row, at + 1] == 0:
                _learn(floats, whole, row, at, near - mean, near_smooth, of[_MEMORY])


@kernel()
def _learn(
    floats: Table, whole: Table, row: int, at: int, change: float, smooth: float, memory: int
) -> None:
    seen = min(whole[row, at + _SEEN] + 1, memory)
    rate = 1.0 / seen
    variance, spread = floats[row, at + _VARIANCE], floats[row, at + _SMOOTH_VARIANCE]
    floats[row, at + _MEAN] += rate * change
    floats[row, at + _VARIANCE] = (1.0 - rate) * (variance + rate * change * change)
    floats[row, at + _SMOOTH_VARIANCE] = spread + rate * (smooth * smooth - spread)
    whole[row, at + _SEEN] = seen
