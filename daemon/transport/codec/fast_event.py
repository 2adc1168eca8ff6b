"""The kernel that reads bare JSON predictions and labels into columns.

It takes the rows that are plain; every other is left to the typed decoder, which alone knows what
is wrong with a row. What is plain: the fields of `detectors.events` with values of their types,
each once, texts without escapes, known names of features with numbers, texts, booleans or null,
and besides fields that nobody knows if their values are no arrays and at most flat objects.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from watchkeeper.daemon.transport.codec import fast_fields as f
from watchkeeper.daemon.transport.codec.fast_fields import Out
from watchkeeper.daemon.transport.codec.fast_object import (
    end_of_empty,
    next_name,
    next_value,
    passed,
)
from watchkeeper.daemon.transport.codec.fast_scan import (
    OPEN,
    SHORTEST,
    Raw,
    Wide,
    index,
    space,
    wide,
)
from watchkeeper.daemon.transport.codec.fast_values import answer, features, value
from watchkeeper.daemon.transport.codec.fast_words import (
    FIELD,
    FULL,
    LABEL,
    MEMBER,
    MODEL,
    ODD,
    VERSION,
    Array,
    Coded,
    Known,
    Names,
    member_of,
    words_of,
)
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import OK
from watchkeeper.detectors.keys import FACTOR

_NONE, _ONE, _FACTOR = np.uint64(0), np.uint64(1), np.uint64(FACTOR)


def _example() -> tuple[Any, ...]:
    raw, words = wide(bytes(SHORTEST))
    none = np.zeros(1, dtype=np.int64)
    latest, names = np.zeros(1), Known(f.SCOPES, f.FIXED).names
    return raw, words, none, none, latest, f.PREDICTION, names, words_of(1, 8), f.out_of(1, 1, 64)


@kernel(_example)
def events(
    raw: Raw,
    words: Wide,
    start: Array,
    end: Array,
    latest: Array,
    scope: int,
    names: Names,
    table: Coded,
    out: Out,
) -> int:
    """Reads the records buffer[start:end] of one kind, f.PREDICTION or TRUTH, until one has no room
    left; how many were read. No time may be later than the row's `latest`."""
    for i in range(len(start)):
        row = out.used[f.TAKEN]
        _begin(out, row)
        found = ODD
        if 0 <= start[i] < end[i]:
            found = _event(
                raw, words, start[i], end[i], latest[i], scope, i, row, names, table, out
            )
        if found < 0:
            _forget(out, row)
        if found == FULL and row > 0:
            return i
        if found >= 0:
            out.rows[row] = i
            out.used[f.TAKEN] += 1
    return len(start)


@kernel()
def _begin(out: Out, row: int) -> None:
    """What a row has that says nothing of it."""
    out.numbers[f.DURATION_AT, index(row)] = np.nan
    out.numbers[f.SCORE_AT, index(row)] = np.nan
    out.numbers[f.VALUE_AT, index(row)] = np.nan
    out.entities[0, index(row)] = -1
    out.entities[1, index(row)] = -1
    out.keys[1, index(row)] = 0
    out.codes[LABEL, index(row)] = -1
    out.codes[MEMBER, index(row)] = -1
    out.status[index(row)] = OK


@kernel()
def _forget(out: Out, row: int) -> None:
    """Takes away what a row that is not taken left in the columns of features."""
    for column in range(out.used[f.NUMERIC]):
        out.numeric[column, row] = np.nan
    for column in range(out.used[f.TEXTS]):
        out.texts[column, row] = -1


@kernel()
def _event(
    raw: Raw,
    words: Wide,
    at: int,
    end: int,
    latest: float,
    scope: int,
    i: int,
    row: int,
    names: Names,
    table: Coded,
    out: Out,
) -> int:
    """Reads one record; ODD where it is not taken, FULL where there is no room for it."""
    needed = f.NEEDED if scope == f.PREDICTION else f.NEEDED_OF_TRUTH
    seen, previous = 0, scope
    at = space(raw, at, end)
    if at >= end or raw[at] != OPEN:
        return ODD
    more = True
    while more:
        entry, at = next_name(raw, words, names, scope, previous, at, end)
        if at < 0:
            return ODD
        if entry < 0:
            out.used[f.UNKNOWN] += 1
            at = passed(raw, words, at, end)
        else:
            previous, field = entry, names.rows[index(entry), FIELD]
            if seen >> field & 1:
                return ODD
            seen |= 1 << field
            if field == f.INPUTS:
                at = features(raw, words, at, end, i, row, names, table, out)
            elif field == f.OUTPUT:
                at = answer(raw, words, at, end, row, names, table, out)
            else:
                at = value(raw, words, at, end, field, scope, latest, row, table, out)
        at, more = next_value(raw, at, end)
        if at < 0:
            return at
    if space(raw, at, end) != end or seen & needed != needed:
        return ODD
    return _finish(scope, row, table, out)


@kernel()
def _finish(scope: int, row: int, table: Coded, out: Out) -> int:
    score = out.numbers[f.SCORE_AT, index(row)]
    out.valid[index(row)] = not (score < 0 or score > 1)
    if scope != f.PREDICTION:
        return 0
    member = member_of(table, out.codes[MODEL, index(row)], out.codes[VERSION, index(row)])
    out.codes[MEMBER, index(row)] = member
    return member


def _example_of_shapes() -> tuple[Any, ...]:
    raw, words = wide(bytes(SHORTEST))
    none = np.zeros(1, dtype=np.int64)
    names = Known(f.SCOPES, f.FIXED).names
    return raw, words, none, none, names, np.zeros(1, dtype=np.uint64), none


@kernel(_example_of_shapes)
def shapes(
    raw: Raw, words: Wide, start: Array, end: Array, names: Names, shape: Array, count: Array
) -> None:
    """A key of the features that each prediction has, 0 where it is not plain, and how many."""
    for i in range(len(start)):
        shape[i], count[i] = 0, 0
        at = _features_at(raw, words, start[i], end[i], names) if 0 <= start[i] < end[i] else ODD
        if at >= 0:
            shape[i], count[i] = _shape(raw, words, at, end[i], names)


@kernel()
def _features_at(raw: Raw, words: Wide, at: int, end: int, names: Names) -> int:
    """Where the object of the features is, or else the event's end; ODD where it is not plain."""
    previous, more = f.PREDICTION, True
    at = space(raw, at, end)
    if at >= end or raw[at] != OPEN:
        return ODD
    while more:
        entry, at = next_name(raw, words, names, f.PREDICTION, previous, at, end)
        if at < 0:
            return ODD
        if entry >= 0:
            previous = entry
            if names.rows[index(entry), FIELD] == f.INPUTS:
                return at
        at, more = next_value(raw, passed(raw, words, at, end), end)
        if at < 0:
            return ODD
    return end


@kernel()
def _shape(raw: Raw, words: Wide, at: int, end: int, names: Names) -> tuple[np.uint64, int]:
    """The key of an object of features, and how many there are."""
    key, count, previous, more = _ONE, 0, f.FEATURES, True
    if at >= end or raw[at] != OPEN or end_of_empty(raw, at, end) >= 0:
        return _ONE, 0
    while more:
        entry, at = next_name(raw, words, names, f.FEATURES, previous, at, end)
        if at < 0 or entry < 0:
            return _NONE, 0
        key = (key ^ np.uint64(entry)) * _FACTOR
        key ^= key >> np.uint64(32)
        previous, count = entry, count + 1
        at, more = next_value(raw, passed(raw, words, at, end), end)
        if at < 0:
            return _NONE, 0
    return key | _ONE, count
