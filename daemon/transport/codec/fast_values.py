"""Kernels that read the values of the fields of predictions and labels into columns.

Each gives the place behind the value, ODD where the typed decoder has to read the row, or FULL.
"""

from __future__ import annotations

import numpy as np

from watchkeeper.daemon.transport.codec import fast_fields as f
from watchkeeper.daemon.transport.codec.columns import EARLIEST
from watchkeeper.daemon.transport.codec.fast_fields import Out
from watchkeeper.daemon.transport.codec.fast_number import moment, number
from watchkeeper.daemon.transport.codec.fast_object import (
    LONG,
    end_of_empty,
    literal,
    next_name,
    next_value,
    passed,
    passed_object,
    word,
)
from watchkeeper.daemon.transport.codec.fast_scan import (
    MINUS,
    NINE,
    OPEN,
    QUOTE,
    ZERO,
    Raw,
    Wide,
    index,
    key_of,
    signed,
    text_end,
    word_at,
)
from watchkeeper.daemon.transport.codec.fast_words import (
    FIELD,
    FIRST_TEXT,
    FULL,
    LABEL,
    MEMBER,
    MODEL,
    ODD,
    SOURCE,
    VERSION,
    Coded,
    Names,
    coded,
)
from watchkeeper.daemon.transport.codec.features import MOST_FEATURES
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import ERROR, OK, TIMEOUT

_SHORT = 256  # characters of an identifier
_OK, _ERROR, _TIMEOUT = word(b"ok"), word(b"error"), word(b"timeout")
_FINAL, _PROXY, _PROVISIO, _NAL = word(b"final"), word(b"proxy"), word(b"provisio"), word(b"nal")
_PREDICTI, _ON_V1, _LABEL_V1 = word(b"predicti"), word(b"on.v1"), word(b"label.v1")


@kernel()
def is_number(byte: int) -> bool:
    """Whether a number may begin so."""
    return byte == MINUS or ZERO <= byte <= NINE


@kernel()
def value(
    raw: Raw,
    words: Wide,
    at: int,
    end: int,
    field: int,
    scope: int,
    latest: float,
    row: int,
    table: Coded,
    out: Out,
) -> int:
    """Reads the value of a field that is neither `features` nor `prediction`."""
    byte = raw[index(at)]
    if byte == QUOTE:
        stop = text_end(raw, words, at + 1, end)
        if stop < 0:
            return ODD
        found = _text(raw, words, at + 1, stop, field, scope, latest, row, table, out)
        return stop + 1 if found >= 0 else found
    if is_number(byte):
        return _number(raw, words, at, end, field, row, out)
    if byte == OPEN:
        return passed_object(raw, words, at, end, True) if field == f.SEGMENT else ODD
    after, what = literal(raw, words, at, end)
    return after if what != what and f.MAY_BE_NULL >> field & 1 else ODD


@kernel()
def _number(raw: Raw, words: Wide, at: int, end: int, field: int, row: int, out: Out) -> int:
    after, what = number(raw, words, at, end)
    if field == f.SCORE:
        out.numbers[f.SCORE_AT, index(row)] = what
    elif field == f.VALUE:
        out.numbers[f.VALUE_AT, index(row)] = what
    elif field == f.DURATION and what >= 0:
        out.numbers[f.DURATION_AT, index(row)] = what
    elif not (field == f.SAMPLE_RATE and 0 < what <= 1):
        return ODD
    return after


@kernel()
def _text(
    raw: Raw,
    words: Wide,
    at: int,
    stop: int,
    field: int,
    scope: int,
    latest: float,
    row: int,
    table: Coded,
    out: Out,
) -> int:
    """Reads a text; not negative where it may be the field's value."""
    size = stop - at
    if field == f.TIME:
        seconds = moment(raw, at, stop)
        out.numbers[f.TIME_AT, index(row)] = seconds
        return 0 if EARLIEST <= seconds <= latest else ODD
    if field == f.MODEL_NAME or field == f.MODEL_VERSION or field == f.SAID:
        column = MODEL if field == f.MODEL_NAME else VERSION if field == f.MODEL_VERSION else LABEL
        code = coded(raw, words, table, column, at, stop)
        out.codes[column, index(row)] = code
        return code
    if field == f.REQUEST or field == f.ENTITY:
        spans, place = (out.requests, 0) if field == f.REQUEST else (out.entities, 1)
        spans[0, index(row)], spans[1, index(row)] = at, stop
        out.keys[place, index(row)] = key_of(raw, words, at, stop)
        return 0 if 0 < size <= _SHORT else ODD
    if field == f.SOURCE and scope == f.TRUTH:
        code = coded(raw, words, table, SOURCE, at, stop)
        out.codes[MEMBER, index(row)] = code
        return code if 0 < size <= _SHORT else ODD
    if field == f.ID or field == f.SOURCE:
        return 0 if 0 < size <= _SHORT else ODD
    if field == f.ERROR_TYPE or field == f.TRACE:
        return 0 if size <= LONG else ODD
    return _choice(raw, words, at, stop, field, scope, row, out)


@kernel(apart=True)
def _choice(
    raw: Raw, words: Wide, at: int, stop: int, field: int, scope: int, row: int, out: Out
) -> int:
    """Reads a text of which only some are right; ODD for others."""
    size, first = stop - at, word_at(raw, words, at, stop)
    second = word_at(raw, words, at + 8, stop) if size > 8 else np.uint64(0)
    if field == f.STATUS and size <= 8:
        status = OK if first == _OK else ERROR if first == _ERROR else ODD
        status = TIMEOUT if first == _TIMEOUT else status
        out.status[index(row)] = status
        return status
    if field == f.KIND and size <= 16:
        if first == _FINAL:
            return 0
        return 0 if first == _PROXY or (first == _PROVISIO and second == _NAL) else ODD
    if field == f.SCHEMA and scope == f.PREDICTION:
        return 0 if size == 13 and first == _PREDICTI and second == _ON_V1 else ODD
    if field == f.SCHEMA:
        return 0 if size == 8 and first == _LABEL_V1 else ODD
    return ODD


@kernel()
def answer(
    raw: Raw, words: Wide, at: int, end: int, row: int, names: Names, table: Coded, out: Out
) -> int:
    """Reads the object of a field `prediction`."""
    if raw[index(at)] != OPEN:
        return ODD
    empty = end_of_empty(raw, at, end)
    if empty >= 0:
        return empty
    seen, previous, more = 0, f.ANSWER, True
    while more:
        entry, at = next_name(raw, words, names, f.ANSWER, previous, at, end)
        if at < 0:
            return ODD
        if entry < 0:
            at = passed(raw, words, at, end)
        else:
            previous, field = entry, names.rows[index(entry), FIELD]
            if seen >> field & 1:
                return ODD
            seen |= 1 << field
            at = value(raw, words, at, end, field, f.ANSWER, 0.0, row, table, out)
        at, more = next_value(raw, at, end)
        if at < 0:
            return at
    return at


@kernel()
def features(
    raw: Raw,
    words: Wide,
    at: int,
    end: int,
    i: int,
    row: int,
    names: Names,
    table: Coded,
    out: Out,
) -> int:
    """Reads the object of a field `features`; `i` is the record's number."""
    if raw[index(at)] != OPEN:
        return ODD
    empty = end_of_empty(raw, at, end)
    if empty >= 0:
        return empty
    count, previous, more = 0, f.FEATURES, True
    while more:
        entry, at = next_name(raw, words, names, f.FEATURES, previous, at, end)
        if at < 0 or entry < 0 or out.places[index(entry), f.LATEST] == i or count == MOST_FEATURES:
            return ODD
        out.places[index(entry), f.LATEST] = i
        previous, count = entry, count + 1
        at = _feature(raw, words, at, end, entry, row, table, out)
        at, more = next_value(raw, at, end)
        if at < 0:
            return at
    return at


@kernel()
def _feature(
    raw: Raw, words: Wide, at: int, end: int, entry: int, row: int, table: Coded, out: Out
) -> int:
    if raw[index(at)] == QUOTE:
        stop = text_end(raw, words, at + 1, end)
        column = _column(out, f.TEXTS, entry)
        if stop < 0 or column < 0:
            return ODD if stop < 0 else FULL
        code = coded(raw, words, table, FIRST_TEXT + column, at + 1, stop)
        out.texts[index(column), index(row)] = code
        return stop + 1 if code >= 0 else FULL
    if is_number(raw[index(at)]):
        after, what = number(raw, words, at, end)
    else:
        after, what = literal(raw, words, at, end)
    if after < 0 or what != what:
        return after
    column = _column(out, f.NUMERIC, entry)
    if column < 0:
        return FULL
    out.numeric[index(column), index(row)] = what
    return after


@kernel()
def _column(out: Out, of: int, entry: int) -> int:
    """The column of a feature's numbers or texts, a new one where it has none; else FULL."""
    if out.places[index(entry), of] >= 0:
        return signed(out.places[index(entry), of])
    column = signed(out.used[of])
    if column == len(out.numeric):
        return FULL
    out.used[of] += 1
    out.places[index(entry), of] = column
    if of == f.NUMERIC:
        out.numeric[column] = np.nan
    else:
        out.texts[column] = -1
    return column
