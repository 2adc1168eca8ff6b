"""`Threshold` over many series in one compiled loop."""

from __future__ import annotations

import math

from watchkeeper.detectors.banks.arithmetic_fast import ENOUGH, Table, note, sustained
from watchkeeper.detectors.banks.level_bank import LEAST
from watchkeeper.detectors.banks.sheet import example
from watchkeeper.detectors.fast import kernel

WORDS = 2
_LEAST = LEAST


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
    """As `ThresholdBank.judge_enough`."""
    above, below = settings[0], settings[1]
    for i in range(len(rows)):
        for j in range(len(columns)):
            c = columns[j]
            here = value[i, c]
            if not (given[i, c] and math.isfinite(here) and n[i, c] >= of[_LEAST]):
                continue
            marks[ENOUGH, i, first + j] = 1
            at, high = j * WORDS, here > above
            if sustained(floats, whole, rows[i], at, start[i], high or here < below, of):
                limit, sign = (above, 1) if high else (below, -1)
                since = floats[rows[i], at]
                note(numbers, marks, i, first + j, here, limit, math.nan, since, sign)
