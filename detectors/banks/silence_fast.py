"""`Silence` over many series in one compiled loop."""

from __future__ import annotations

import math

import numpy as np

from watchkeeper.detectors.banks.arithmetic_fast import (
    ENOUGH,
    Table,
    bounded,
    least,
    most,
    note,
    sustained,
)
from watchkeeper.detectors.banks.level_bank import LEAST, NEEDED
from watchkeeper.detectors.banks.sheet import example
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.silence import LONGEST, RECENT

WORDS = 7  # of a series' state, in the order of `SilenceBank.fields`
_RATE, _LOW, _QUIET, _LONG, _SEEN = 2, 3, 4, 5, 6
_LEAST, _NEEDED = LEAST, NEEDED
_MISSED, _PATIENCE = 0, 1  # of the settings as numbers
_WARM_UP = 2  # of those as integers
_LONGEST, _RECENT = LONGEST, RECENT


@kernel(lambda: example(*(np.zeros(1),) * 3))
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
    width: Table,
    more: Table,
    fewer: Table,
) -> None:
    """As `SilenceBank.judge_enough`. `width` are the windows' seconds; by `more` a rate may grow
    meanwhile, by `fewer` is a pause forgotten."""
    for i in range(len(rows)):
        row, seconds = rows[i], width[i]
        for j in range(len(columns)):
            c = columns[j]
            if not (given[i, c] and math.isfinite(value[i, c]) and n[i, c] >= of[_LEAST]):
                continue
            marks[ENOUGH, i, first + j] = 1
            if not (0.0 < seconds < math.inf):
                continue
            at = j * WORDS
            if value[i, c] > 0.0:
                _hear(floats, whole, row, at, value[i, c], seconds, more[i], fewer[i], of)
                continue
            quiet = least(floats[row, at + _QUIET] + seconds, _LONGEST)
            floats[row, at + _QUIET] = quiet
            if whole[row, at + _SEEN] < of[_WARM_UP]:
                continue
            low = floats[row, at + _LOW]
            missed = low * quiet
            patient = low * settings[_PATIENCE] * floats[row, at + _LONG]
            limit = most(settings[_MISSED], patient)
            if sustained(floats, whole, row, at, start[i], missed > limit, of):
                normal = floats[row, at + _RATE] * seconds
                note(numbers, marks, i, first + j, missed, limit, normal, floats[row, at], -1)


@kernel()
def _hear(
    floats: Table,
    whole: Table,
    row: int,
    at: int,
    value: float,
    seconds: float,
    more: float,
    fewer: float,
    of: Table,
) -> None:
    silence = 0.0 if whole[row, at + 1] >= of[_NEEDED] else floats[row, at + _QUIET]
    seen = min(whole[row, at + _SEEN] + 1, max(of[_WARM_UP], _RECENT))
    weight = 1.0 / min(seen, _RECENT)
    rate, low = floats[row, at + _RATE], floats[row, at + _LOW]
    rate = rate + weight * (bounded(value) / (seconds + silence) - rate)
    later = low * more if seen >= of[_WARM_UP] else math.inf
    floats[row, at + _LOW] = least(rate, later) if low != 0.0 else rate
    floats[row, at + _RATE] = rate
    floats[row, at + _LONG] = most(silence, floats[row, at + _LONG] * fewer)
    floats[row, at + _QUIET] = 0.0
    whole[row, at + _SEEN] = seen
    whole[row, at + 1] = 0
