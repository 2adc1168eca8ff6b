"""`ShiryaevRobertsRate` over many series in one compiled loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.arithmetic_fast import ENOUGH, Table, note, sustained
from watchkeeper.detectors.banks.level_bank import LEAST, NEEDED
from watchkeeper.detectors.banks.sheet import example
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.sequential import rates_fast
from watchkeeper.detectors.sequential.exact_fast import ln
from watchkeeper.detectors.sequential.rates_fast import advance, calibration, running, total
from watchkeeper.detectors.sequential.watching import (
    ABOVE,
    BELOW,
    HARMLESS,
    KNOWN,
    NEWEST,
    NEWEST_FIRING,
    TINY,
)

_LEAST, _NEEDED = LEAST, NEEDED
_REFERENCE = 2  # of the settings as integers
_LOGARITHM, _LEVEL, _CHANGE, _RATIO = 0, 1, 2, 3  # of those as numbers; then those of `advance`
_FOLLOWED, _NORMAL, _NEWEST_AT, _EVENTS = 2, 3, 4, 5  # of a series' state
_N, _HITS = rates_fast.N, rates_fast.HITS
_EVIDENCE = rates_fast.EVIDENCE
_ABOVE, _BELOW, _HARMLESS, _KNOWN, _TINY = ABOVE, BELOW, HARMLESS, KNOWN, TINY
_NEWEST, _NEWEST_FIRING = NEWEST, NEWEST_FIRING


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
    ratios: Table,
    weights: Table,
    logarithms: Table,
) -> None:
    """As `ShiryaevRobertsRateBank.judge_enough`. `ratios` of odds are bet on, with `weights`."""
    kinds = len(ratios)
    words = _EVENTS + _EVIDENCE + kinds
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(columns)):
            c = columns[j]
            if not (given[i, c] and math.isfinite(value[i, c]) and n[i, c] >= of[_LEAST]):
                continue
            marks[ENOUGH, i, first + j] = 1
            at = j * words
            events = at + _EVENTS
            quiet = whole[row, at + 1] == 0
            share = min(max(value[i, c], 0.0), 1.0) + 0.0
            known = 0.0 <= expected[i, c] <= 1.0
            if of[_REFERENCE] and known:
                floats[row, events + _N] = _KNOWN
                floats[row, events + _HITS] = expected[i, c] * _KNOWN
            normal = running(floats, row, events)
            learn = quiet and not of[_REFERENCE]
            size = np.float64(n[i, c])
            hits = np.rint(share * size)
            advance(floats, whole, row, events, hits, size, learn, settings, ratios, logarithms)
            evidence = total(floats, row, events, weights)
            _follow(floats, whole, row, at, share, quiet)
            change = floats[row, at + _NEWEST_AT] - normal
            matters = abs(change) >= max(settings[_CHANGE], settings[_RATIO] * abs(normal))
            ended = not matters and (not quiet or evidence >= settings[_LEVEL] * _HARMLESS)
            if ended or (not quiet and evidence < settings[_LEVEL] / _ABOVE):
                for k in range(kinds):
                    floats[row, events + _EVIDENCE + k] = 0.0
            if of[_REFERENCE] and not known:
                evidence = 0.0
            said = ln(max(evidence, _TINY))
            firing = whole[row, at + 1] >= of[_NEEDED]
            limit = settings[_LOGARITHM] - _BELOW if firing else settings[_LOGARITHM]
            if sustained(floats, whole, row, at, start[i], matters and said > limit, of):
                sign = 1 if change > 0.0 else -1
                note(numbers, marks, i, first + j, said, limit, normal, floats[row, at], sign)


@kernel()
def _follow(floats: Table, whole: Table, row: int, at: int, value: float, calm: bool) -> None:
    """As `watching.Rates` follows a share: what is normal is the newest calm one."""
    seen, normal = whole[row, at + _FOLLOWED], floats[row, at + _NORMAL]
    recent = floats[row, at + _NEWEST_AT]
    weight = _NEWEST if calm else _NEWEST_FIRING
    recent = recent + weight * (value - recent) if seen > 0 else value
    normal = normal if seen > 0 else value
    if calm or seen == 0:
        normal = normal + (value - normal)
    floats[row, at + _NORMAL], floats[row, at + _NEWEST_AT] = normal, recent
    whole[row, at + _FOLLOWED] = seen + 1


def _example_of_weigh() -> tuple[Any, ...]:
    places, table = np.zeros(1, dtype=np.int64), np.zeros((1, 1))
    whole = np.zeros((1, 1), dtype=np.int64)
    return places, table, whole, np.zeros(1), table, whole


@kernel(_example_of_weigh)
def weigh(
    rows: Table, floats: Table, whole: Table, weights: Table, logarithms: Table, known: Table
) -> None:
    """Fills what `EvidenceBank.evidence` and `calibrated` say."""
    words = _EVENTS + _EVIDENCE + len(weights)
    for i in range(len(rows)):
        for j in range(logarithms.shape[1]):
            events = j * words + _EVENTS
            evidence = total(floats, rows[i], events, weights)
            logarithms[i, j] = ln(max(evidence, _TINY))
            known[i, j] = calibration(floats, whole, rows[i], events)
