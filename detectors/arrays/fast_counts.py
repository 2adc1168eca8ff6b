"""Kernels that count columns into the arrays of a tally; `slot` is each row's row there, `ref` that
of its reference."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import FloatArray
from watchkeeper.detectors.profile import CATEGORIES
from watchkeeper.detectors.signals._exact import LIMIT, STEPS
from watchkeeper.detectors.signals.accuracy import SCORE_BINS, SCORE_EDGES
from watchkeeper.detectors.signals.clients import BUCKETS
from watchkeeper.detectors.signals.latency import UPPER

Table = npt.NDArray[Any]

_STEPS, _LIMIT, _BUCKETS = float(STEPS), LIMIT, np.uint64(BUCKETS)
_UPPER: FloatArray = np.ascontiguousarray(UPPER, dtype=np.float64)
# Which answers are counted as such, and which as positive ones.
NONE, BY_SCORE, ALL_BY_SCORE, BY_LABEL = 0, 1, 2, 3
_HEAD, _OK, _MEASURED, _INVALID = t.N, t.OK, t.MEASURED, t.INVALID
_ANSWERED, _POSITIVE = t.ANSWERED, t.POSITIVE
_MISSING, _OUTSIDE, _FIRST_BIN = t.MISSING, t.OUTSIDE, t.FIRST_BIN
_OTHER, _ABSENT = t.OTHER, t.ABSENT
_PAIRS, _CORRECT, _TN, _SCORED = t.PAIRS, t.CORRECT, t.TN, t.SCORED
_BINS = SCORE_BINS
_SCORE_EDGES: FloatArray = np.ascontiguousarray(SCORE_EDGES, dtype=np.float64)


def _ints(*shape: int, kind: npt.DTypeLike = np.int64) -> Table:
    return np.zeros(shape, dtype=kind)


def _given(*shape: int, kind: npt.DTypeLike = np.int64) -> Table:
    """A column that a kernel only reads: it may be one that must not be written."""
    column = np.zeros(shape, dtype=kind)
    column.flags.writeable = False
    return column


def _example_of_heads(kind: npt.DTypeLike, bins: npt.DTypeLike, few: bool) -> tuple[Any, ...]:
    valid, seconds, keys = _given(1, kind=np.bool_), _given(1, kind=float), _given(1, kind="u8")
    tables = _ints(1, t.HEAD), _ints(1, 2, kind=bins), _ints(1, 2, kind=kind)
    return _given(1), _given(1), valid, seconds, keys, *tables, few


@kernel(partial(_example_of_heads, np.int32, np.int32, False))
def count_heads(
    slot: Table,
    status: Table,
    valid: Table,
    duration: Table,
    entity: Table,
    head: Table,
    durations: Table,
    clients: Table,
    few: bool,
) -> None:
    """What is counted with or without a reference. Of a tally of `few` events, `durations` are its
    singles."""
    for i in range(len(slot)):
        row = head[slot[i]]
        row[_HEAD] += 1
        row[_OK + status[i]] += 1
        row[_INVALID] += not valid[i]
        timed = np.isfinite(duration[i])
        place = np.searchsorted(_UPPER, duration[i]) if timed else -1
        if few:
            durations[row[_HEAD] - 1, slot[i]] = place + 1
        elif timed:
            durations[slot[i], place] += 1
        if entity[i] != 0:
            clients[slot[i], entity[i] % _BUCKETS] += 1


def _example_of_answers() -> tuple[Any, ...]:
    score, codes = _given(1, kind=float), _given(1, kind=np.int32)
    return _given(1), 0, 0, score, codes, _ints(1, t.HEAD)


@kernel(_example_of_answers)
def count_answers(
    slot: Table, kind: int, positive: int, score: Table, codes: Table, head: Table
) -> None:
    """Rows measured, answers, and positive ones; `positive` is the code of the class's label."""
    for i in range(len(slot)):
        row = head[slot[i]]
        row[_MEASURED] += 1
        if kind == BY_LABEL:
            row[_ANSWERED] += codes[i] >= 0
            row[_POSITIVE] += codes[i] == positive
        elif kind != NONE:
            row[_ANSWERED] += kind == ALL_BY_SCORE and not np.isnan(score[i])
            row[_POSITIVE] += score[i] >= 0.5


def _example_of_numbers(kind: npt.DTypeLike, edge: npt.DTypeLike) -> tuple[Any, ...]:
    limits = [_ints(1, 1, kind=float) for _ in range(4)]
    bins, edges = _ints(1, 1, kind=np.int32), _ints(1, 1, 2, kind=edge)
    tables = _ints(1, 1, t.NUMERIC, kind=kind), _ints(1, 1)
    return _given(1), _given(1), _ints(1, 1, kind=float), *limits, bins, edges, *tables


@kernel(partial(_example_of_numbers, np.int32, np.float32))
def count_numbers(
    slot: Table,
    ref: Table,
    values: Table,
    low: Table,
    high: Table,
    centre: Table,
    scale: Table,
    bins: Table,
    edges: Table,
    numeric: Table,
    sums: Table,
) -> None:
    """All columns of numbers, one in each row of `values`: missing, out of range, by bins, and
    their sums in fixed point. Event by event, since what is known of one event's model lies
    together."""
    for i in range(len(slot)):
        r = ref[i]
        for column in range(len(values)):
            value = values[column, i]
            row = numeric[slot[i], column]
            if np.isnan(value):
                row[_MISSING] += 1
                continue
            row[_OUTSIDE] += value < low[r, column] or value > high[r, column]
            sums[slot[i], column] += _steps((value - centre[r, column]) / scale[r, column])
            used = edges[r, column, : max(bins[r, column] - 1, 0)]
            row[_FIRST_BIN + np.searchsorted(used, value, side="right")] += 1


@kernel()
def _steps(units: float) -> int:
    """As `signals._exact.steps`."""
    if np.isnan(units):
        return 0
    return np.int64(np.rint(min(max(units, -_LIMIT), _LIMIT) * _STEPS))  # type: ignore[return-value]


def _example_of_texts(kind: npt.DTypeLike) -> tuple[Any, ...]:
    codes, keys, first = _ints(1, 1, kind=np.int32), _ints(1, kind="u8"), _ints(1)
    known, places = _ints(1, 1, CATEGORIES, kind="u8"), _ints(1, 1, CATEGORIES, kind="u1")
    table = _ints(1, 1, t.TEXTS, kind=kind)
    return _given(1), _given(1), codes, keys, first, known, places, table


@kernel(partial(_example_of_texts, np.int32))
def count_texts(
    slot: Table,
    ref: Table,
    codes: Table,
    keys: Table,
    first: Table,
    known: Table,
    places: Table,
    table: Table,
) -> None:
    """All columns of texts, one in each row of `codes`, by the categories of the event's reference;
    the keys of a column's words lie from `first` on, by code."""
    for i in range(len(slot)):
        for column in range(len(codes)):
            code = codes[column, i]
            place: Any = _ABSENT
            if code >= 0:
                key, mine = keys[first[column] + code], known[ref[i], column]
                at = min(np.searchsorted(mine, key), len(mine) - 1)
                place = places[ref[i], column, at] if mine[at] == key else _OTHER
            table[slot[i], column, place] += 1


def _example_of_pairs(bins: npt.DTypeLike, few: bool) -> tuple[Any, ...]:
    keys, score, scored = _given(1, kind="u8"), _given(1, kind=float), _given(1, kind=np.bool_)
    tables = _ints(1, t.HEAD), _ints(1, 2 * SCORE_BINS, kind=bins), _ints(1, 4)
    return _given(1), keys, keys, keys, score, scored, _ints(1, 4), *tables, few


@kernel(partial(_example_of_pairs, np.int32, False))
def count_pairs(
    slot: Table,
    said: Table,
    truth: Table,
    positive: Table,
    score: Table,
    scored: Table,
    added: Table,
    head: Table,
    scores: Table,
    losses: Table,
    few: bool,
) -> None:
    """How right answers were; `added` has a row for each that is `scored`. Of a tally of `few`
    events, `scores` are its singles."""
    n = 0
    for i in range(len(slot)):
        row, known = head[slot[i]], positive[i] != 0
        is_true = known and truth[i] == positive[i]
        if scored[i]:
            row[_SCORED] += 1
            place = np.searchsorted(_SCORE_EDGES, score[i], side="right")
            place += np.int64(is_true) * _BINS
            if few:
                scores[row[_SCORED] - 1, slot[i]] = place + 1
            else:
                scores[slot[i], place] += 1
            for column in range(4):
                losses[slot[i], column] += added[n, column]
            n += 1
        by_score = said[i] == 0 and known and np.isfinite(score[i])
        if truth[i] == 0 or (said[i] == 0 and not by_score):
            continue
        guess = score[i] >= 0.5 if by_score else known and said[i] == positive[i]
        row[_PAIRS] += 1
        row[_CORRECT] += guess == is_true if by_score else said[i] == truth[i]
        if known:
            row[_TN + 2 * np.int64(is_true) + np.int64(guess)] += 1


# The same for tallies of few events.
count_few_heads = kernel(partial(_example_of_heads, np.uint8, np.uint16, True))(
    count_heads.function
)
count_few_numbers = kernel(partial(_example_of_numbers, np.uint8, np.float32))(
    count_numbers.function
)
count_few_texts = kernel(partial(_example_of_texts, np.uint8))(count_texts.function)
count_few_pairs = kernel(partial(_example_of_pairs, np.uint16, True))(count_pairs.function)

# The same by edges of which one has more digits than four bytes hold.
count_numbers_finely = kernel(partial(_example_of_numbers, np.int32, np.float64))(
    count_numbers.function
)
count_few_numbers_finely = kernel(partial(_example_of_numbers, np.uint8, np.float64))(
    count_numbers.function
)
