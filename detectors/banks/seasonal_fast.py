"""`Seasonal` over many series in one compiled loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.arithmetic_fast import (
    ENOUGH,
    Table,
    error_of,
    lowered,
    most,
    note,
    plain,
    rounding,
    scaled,
    score,
    single,
    spread_of,
    statistic,
    sustained,
    unit,
)
from watchkeeper.detectors.banks.level_bank import LEAST, NEEDED
from watchkeeper.detectors.banks.score_bank import OWN, THRESHOLD
from watchkeeper.detectors.banks.sheet import example
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.seasonal import LONGEST

WORDS = 2
_LEAST, _NEEDED, _THRESHOLD, _KNOWN = LEAST, NEEDED, THRESHOLD, OWN
_LONGEST = LONGEST


def _example() -> tuple[Any, ...]:
    line, places = np.zeros(1), np.zeros(1, dtype=np.int64)
    hours = np.zeros((2, 2, 2), dtype=np.float32)
    seen = np.zeros((2, 2, 2), dtype=np.uint16)
    return example(line, places, places, hours, hours, seen)


@kernel(_example)
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
    hour: Table,
    longest: Table,
    means: Table,
    spreads: Table,
    seens: Table,
) -> None:
    """As `SeasonalBank.judge_enough`. `width` are the windows' seconds, `hour` is the hour of the
    week, -1 where a window has none; after `longest` windows an hour's mean forgets."""
    for i in range(len(rows)):
        row, h = rows[i], hour[i]
        for j in range(len(columns)):
            c = columns[j]
            if not (given[i, c] and math.isfinite(value[i, c]) and n[i, c] >= of[_LEAST]):
                continue
            marks[ENOUGH, i, first + j] = 1
            if h < 0:
                continue
            at = j * WORDS
            here, mean = single(scaled(value[i, c], of)), np.float64(means[h, row, j])
            seen, spread = int(seens[h, row, j]), np.float64(spreads[h, row, j])
            if seen * width[i] >= settings[_KNOWN] or seen == _LONGEST:
                wrong = error_of(value[i, c], n[i, c], stderr[i, c], mean, of)
                noise = most(most(spread_of(spread * spread, seen), rounding(mean, seen)), wrong)
                scored = score(here - mean, unit(mean, noise, settings, of))
                said = statistic(scored, of)
                limit = lowered(settings[_THRESHOLD], whole[row, at + 1] >= of[_NEEDED])
                if sustained(floats, whole, row, at, start[i], said > limit, of):
                    sign = 1 if scored > 0 else -1
                    since = floats[row, at]
                    note(numbers, marks, i, first + j, said, limit, plain(mean, of), since, sign)
            if whole[row, at + 1] >= of[_NEEDED]:
                continue
            seen = min(seen + 1, longest[i])
            rate, change = 1.0 / seen, here - mean
            variance = (1.0 - rate) * (spread * spread + rate * change * change)
            means[h, row, j] = single(mean + rate * change)
            spreads[h, row, j] = single(math.sqrt(variance))
            seens[h, row, j] = seen
