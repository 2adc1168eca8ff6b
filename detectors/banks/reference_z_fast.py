"""`ReferenceZ` over many series in one compiled loop."""

from __future__ import annotations

import math

from watchkeeper.detectors.banks.arithmetic_fast import (
    ENOUGH,
    Table,
    error,
    error_of,
    lowered,
    most,
    noise_of,
    note,
    scaled,
    score,
    statistic,
    sustained,
    unit,
)
from watchkeeper.detectors.banks.level_bank import LEAST, NEEDED
from watchkeeper.detectors.banks.score_bank import OWN, SHARE, THRESHOLD
from watchkeeper.detectors.banks.sheet import example
from watchkeeper.detectors.fast import kernel

WORDS = 2
_LEAST, _NEEDED, _SHARE, _THRESHOLD, _MIN_EFFECT = LEAST, NEEDED, SHARE, THRESHOLD, OWN


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
    """As `ReferenceZBank.judge_enough`."""
    threshold = settings[_THRESHOLD]
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(columns)):
            c = columns[j]
            if not (given[i, c] and math.isfinite(value[i, c]) and n[i, c] >= of[_LEAST]):
                continue
            marks[ENOUGH, i, first + j] = 1
            if not math.isfinite(expected[i, c]) or _unknown(
                value[i, c], n[i, c], stderr[i, c], of
            ):
                continue
            at = j * WORDS
            limit = lowered(threshold, whole[row, at + 1] >= of[_NEEDED])
            normal = scaled(expected[i, c], of)
            change = scaled(value[i, c], of) - normal
            scored = math.nan
            # Noise only makes a score smaller: it need not be known where there is no passing.
            if statistic(score(change, unit(normal, 0.0, settings, of)), of) > limit:
                noise = _noise(value[i, c], n[i, c], stderr[i, c], normal, settings, of)
                scored = score(change, unit(normal, noise, settings, of))
            said = statistic(scored, of)
            if sustained(floats, whole, row, at, start[i], said > limit, of):
                sign = 1 if scored > 0 else -1
                note(
                    numbers, marks, i, first + j, said, limit, expected[i, c], floats[row, at], sign
                )


@kernel()
def _unknown(value: float, n: int, stderr: float, of: Table) -> bool:
    """Whether the noise is not known, and not known to be none."""
    if of[_SHARE] and n > 0:
        return False  # a share's noise is never 0
    return bool(error(value, stderr, of) == 0.0 and stderr != 0.0)


@kernel()
def _noise(value: float, n: int, stderr: float, normal: float, settings: Table, of: Table) -> float:
    spread = error_of(value, n, stderr, normal, of) * math.sqrt(max(n, 1))
    noise = noise_of(value, n, stderr, normal, of)
    return most(noise, settings[_MIN_EFFECT] * spread / settings[_THRESHOLD])
