"""Kernels for JSON objects: from name to value, past values that nobody reads."""

from __future__ import annotations

import numpy as np

from watchkeeper.daemon.transport.codec.fast_number import number
from watchkeeper.daemon.transport.codec.fast_scan import (
    CLOSE,
    COLON,
    COMMA,
    MINUS,
    NINE,
    OPEN,
    QUOTE,
    ZERO,
    Raw,
    Wide,
    index,
    signed,
    space,
    text_end,
    word_at,
)
from watchkeeper.daemon.transport.codec.fast_words import FOLLOWS, ODD, Names, follows, looked_up
from watchkeeper.detectors.fast import kernel

LONG = 512  # characters of the longest text that is bounded


def word(text: bytes) -> np.uint64:
    """Up to eight bytes as a number."""
    return np.uint64(int.from_bytes(text, "little"))


_TRUE, _FALSE, _NULL = word(b"true"), word(b"false"), word(b"null")


@kernel()
def next_name(
    raw: Raw, words: Wide, names: Names, scope: int, previous: int, at: int, end: int
) -> tuple[int, int]:
    """The entry of the name behind the brace or comma at `at`, and where its value begins."""
    at = space(raw, at + 1, end)
    if at >= end or raw[index(at)] != QUOTE:
        return ODD, ODD
    guess = signed(names.rows[index(previous), FOLLOWS])
    if guess > 0:
        first = follows(raw, words, names, guess, at, end)
        if first >= 0:
            first = space(raw, first, end)
            return guess, (first if first < end else ODD)
    entry, stop = looked_up(raw, words, names, scope, at, end)
    if stop < 0:
        return ODD, ODD
    if entry >= 0 and entry != guess:
        names.rows[index(previous), FOLLOWS] = entry
    return entry, after_colon(raw, stop, end)


@kernel()
def after_colon(raw: Raw, quote: int, end: int) -> int:
    """Where the value begins whose name ends with the quote at `quote`; ODD where none does."""
    if quote < 0:
        return ODD
    at = space(raw, quote + 1, end)
    if at >= end or raw[index(at)] != COLON:
        return ODD
    at = space(raw, at + 1, end)
    return at if at < end else ODD


@kernel()
def next_value(raw: Raw, at: int, end: int) -> tuple[int, bool]:
    """The comma behind a value, or the place behind the brace that ends the object, and whether
    it is the first. What is below 0 stays."""
    if at < 0:
        return at, False
    at = space(raw, at, end)
    if at < end and raw[index(at)] == COMMA:
        return at, True
    if at < end and raw[index(at)] == CLOSE:
        return at + 1, False
    return ODD, False


@kernel()
def end_of_empty(raw: Raw, at: int, end: int) -> int:
    """The place behind the object at `at` if it is empty, else ODD."""
    at = space(raw, at + 1, end)
    return at + 1 if at < end and raw[index(at)] == CLOSE else ODD


@kernel()
def literal(raw: Raw, words: Wide, at: int, end: int) -> tuple[int, float]:
    """The place behind true, false or null, ODD where it is none; and 1, 0 or NaN."""
    word = word_at(raw, words, at, min(at + 4, end))
    if word == _TRUE:
        return at + 4, 1.0
    if word == _NULL:
        return at + 4, np.nan
    if word_at(raw, words, at, min(at + 5, end)) == _FALSE:
        return at + 5, 0.0
    return ODD, 0.0


@kernel(apart=True)
def passed(raw: Raw, words: Wide, at: int, end: int) -> int:
    """The place behind a value that nobody reads; ODD for arrays and what is nested deeper."""
    return (
        passed_object(raw, words, at, end, False)
        if raw[index(at)] == OPEN
        else _simple(raw, words, at, end)
    )


@kernel()
def _simple(raw: Raw, words: Wide, at: int, end: int) -> int:
    """The place behind a text, a number, a boolean or null."""
    byte = raw[index(at)]
    if byte == QUOTE:
        stop = text_end(raw, words, at + 1, end)
        return stop + 1 if stop >= 0 else ODD
    if byte == MINUS or ZERO <= byte <= NINE:
        return number(raw, words, at, end)[0]
    return literal(raw, words, at, end)[0]


@kernel(apart=True)
def passed_object(raw: Raw, words: Wide, at: int, end: int, short: bool) -> int:
    """The place behind a flat object; with `short` it may hold short texts alone."""
    empty = end_of_empty(raw, at, end)
    if empty >= 0:
        return empty
    more = True
    while more:
        name = space(raw, at + 1, end)
        if name >= end or raw[name] != QUOTE:
            return ODD
        first = after_colon(raw, text_end(raw, words, name + 1, end), end)
        if first < 0 or (short and raw[first] != QUOTE):
            return ODD
        at = _simple(raw, words, first, end)
        if short and at - first > LONG + 2:
            return ODD
        at, more = next_value(raw, at, end)
        if at < 0:
            return ODD
    return at
