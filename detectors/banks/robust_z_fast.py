"""`RobustZ` over many series in one compiled loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.arithmetic_fast import (
    ENOUGH,
    Table,
    lowered,
    most,
    noise_of,
    note,
    plain,
    rounding,
    scaled,
    score,
    single,
    statistic,
    sustained,
    unit,
)
from watchkeeper.detectors.banks.level_bank import LEAST, NEEDED
from watchkeeper.detectors.banks.score_bank import OWN_WHOLE, SHARE, THRESHOLD
from watchkeeper.detectors.banks.sheet import example
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.robust_z import TAIL, TAIL_Z

WORDS = 5  # of a series' state, in the order of `RobustZBank.fields`
_FILLED, _NEXT, _WAITING = 2, 3, 4
_LEAST, _NEEDED, _SHARE, _THRESHOLD = LEAST, NEEDED, SHARE, THRESHOLD
_WARM_UP, _MEMORY = OWN_WHOLE, OWN_WHOLE + 1
_TAIL, _TAIL_Z = TAIL, TAIL_Z


def _example() -> tuple[Any, ...]:
    held = np.zeros((2, 2, 2), dtype=np.float32)
    return example(held, held, np.zeros((2, 1)))


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
    past: Table,
    pending: Table,
    room: Table,
) -> None:
    """As `RobustZBank.judge_enough`. `room` are two rows that hold `memory` numbers each."""
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(columns)):
            c = columns[j]
            if not (given[i, c] and math.isfinite(value[i, c]) and n[i, c] >= of[_LEAST]):
                continue
            marks[ENOUGH, i, first + j] = 1
            at, here = j * WORDS, single(scaled(value[i, c], of))
            count = whole[row, at + _FILLED]
            if count < of[_WARM_UP]:
                _remember(whole, row, at, past[:, row, j], here, of)
                continue
            for k in range(count):
                room[0, k] = past[k, row, j]
            _sort(room[0], count)
            normal, change, scored = _normal(room[0], count, of), 0.0, math.nan
            change = here - normal
            limit = lowered(settings[_THRESHOLD], whole[row, at + 1] >= of[_NEEDED])
            # Noise only makes a score smaller: it need not be known where there is no passing.
            if statistic(score(change, unit(normal, 0.0, settings, of)), of) > limit:
                spread = most(_spread(room, count, change > 0.0), rounding(normal, 1.0))
                noise = most(spread, noise_of(value[i, c], n[i, c], stderr[i, c], normal, of))
                scored = score(change, unit(normal, noise, settings, of))
            said = statistic(scored, of)
            if sustained(floats, whole, row, at, start[i], said > limit, of):
                sign = 1 if scored > 0 else -1
                since = floats[row, at]
                note(numbers, marks, i, first + j, said, limit, plain(normal, of), since, sign)
            _learn(whole, row, at, past[:, row, j], pending[:, row, j], here, of)


@kernel()
def _learn(
    whole: Table, row: int, at: int, past: Table, pending: Table, value: float, of: Table
) -> None:
    """Remembers values once it is sure that they are not the beginning of a finding."""
    run, waiting = whole[row, at + 1], whole[row, at + _WAITING]
    if run == 0:
        for k in range(waiting):
            _remember(whole, row, at, past, pending[k], of)
        _remember(whole, row, at, past, value, of)
        whole[row, at + _WAITING] = 0
    elif run < of[_NEEDED]:
        pending[waiting] = value
        whole[row, at + _WAITING] = waiting + 1
    else:
        whole[row, at + _WAITING] = 0


@kernel()
def _remember(whole: Table, row: int, at: int, past: Table, value: float, of: Table) -> None:
    place = whole[row, at + _NEXT]
    past[place] = value
    whole[row, at + _NEXT] = (place + 1) % of[_MEMORY]
    whole[row, at + _FILLED] = min(whole[row, at + _FILLED] + 1, of[_MEMORY])


@kernel()
def _normal(ordered: Table, count: int, of: Table) -> float:
    if not of[_SHARE]:
        return _quantile(ordered, count, 0.5)
    added: float = 0.0
    for k in range(count):
        added += ordered[k]
    return added / count


@kernel()
def _quantile(ordered: Table, count: int, share: float) -> float:
    place = share * (count - 1)
    low = int(place)
    below: float = ordered[low]
    found: float = below + (place - low) * (ordered[min(low + 1, count - 1)] - below)
    return found


@kernel()
def _spread(room: Table, count: int, above: bool) -> float:
    middle = _quantile(room[0], count, 0.5)
    for k in range(count):
        room[1, k] = abs(room[0, k] - middle)
    _sort(room[1], count)
    tail = _quantile(room[0], count, 1.0 - _TAIL if above else _TAIL)
    return most(1.4826 * _quantile(room[1], count, 0.5), abs(tail - middle) / _TAIL_Z)


@kernel()
def _sort(values: Table, count: int) -> None:
    """Puts the first values in order, by Shell's way: there are a few hundred at most."""
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for k in range(gap, count):
            held, place = values[k], k
            while place >= gap and values[place - gap] > held:
                values[place] = values[place - gap]
                place -= gap
            values[place] = held
        gap //= 3
