"""Kernels that read JSON's parts: text, numbers, times, and the keys of text.

All take `raw`, a buffer's bytes, and `words`, where words[i].word are its eight bytes from i on
as a little-endian number; positions are places in the buffer. What is not plain is told by -1:
the typed decoder has to read it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors import keys
from watchkeeper.detectors.fast import kernel

Raw = npt.NDArray[np.uint8]
Wide = npt.NDArray[Any]
WIDE = np.dtype([("word", "<u8")])  # packed, so that it may stand at any place

SHORTEST = 9  # with less, the wide view is of another type
QUOTE, BACKSLASH, COMMA, COLON, MINUS, PLUS, POINT = 34, 92, 44, 58, 45, 43, 46
OPEN, CLOSE, ZERO, NINE, UPPER_E, LOWER_E = 123, 125, 48, 57, 69, 101

# Only numba needs to know the width of a number: mixed ones would become floats.
signed = cast(Callable[[Any], int], np.int64)
# A place that is never negative: numba need not ask each time whether it counts from the end.
index = cast(Callable[[Any], int], np.uint64)

_SEED, _FACTOR, _LAST = np.uint64(keys.SEED), np.uint64(keys.FACTOR), np.uint64(keys.LAST)
_ONES, _HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_QUOTES, _BACKSLASHES = _ONES * np.uint64(QUOTE), _ONES * np.uint64(BACKSLASH)
_SPACES = _ONES * np.uint64(32)
_NONE, _ONE, _HALF = np.uint64(0), np.uint64(1), np.uint64(32)


def wide(buffer: bytes) -> tuple[Raw, Wide]:
    """The two views of a buffer of at least `SHORTEST` bytes that the kernels want."""
    raw = np.frombuffer(buffer, dtype=np.uint8)
    return raw, np.ndarray((len(buffer) - 7,), WIDE, buffer, strides=(1,))


@kernel()
def space(raw: Raw, at: int, end: int) -> int:
    """The next place that is no white space."""
    while at < end and raw[index(at)] <= 32:
        byte = raw[index(at)]
        if byte != 32 and byte != 10 and byte != 13 and byte != 9:
            return at
        at += 1
    return at


@kernel()
def text_end(raw: Raw, words: Wide, at: int, end: int) -> int:
    """The place of the quote that ends a text; -1 where it has escapes or is no UTF-8."""
    while at < end:
        if at < len(words):
            stops = _stops(words[index(at)].word)
            if stops == _NONE:
                at += 8
                continue
            below = (stops - _ONE) & ~stops & _ONES
            at += signed(below * _ONES >> np.uint64(56)) - 1
            if at >= end:
                return -1
        byte = raw[index(at)]
        if byte == QUOTE:
            return at
        if byte < 32 or byte == BACKSLASH:
            return -1
        at = at + 1 if byte < 128 else _after_character(raw, at, end)
        if at < 0:
            return -1
    return -1


@kernel()
def _stops(word: np.uint64) -> np.uint64:
    """The high bit of every byte that may not be passed over; the lowest of them is right."""
    quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
    found = (quotes - _ONES) & ~quotes | (backslashes - _ONES) & ~backslashes
    return (found | (word - _SPACES) & ~word | word) & _HIGH


@kernel(apart=True)
def _after_character(raw: Raw, at: int, end: int) -> int:
    """Where a character of several bytes ends; -1 where it is no UTF-8."""
    lead = signed(raw[index(at)])
    if lead < 0xC2 or lead > 0xF4:
        return -1
    after = at + 2 + (lead >= 0xE0) + (lead >= 0xF0)
    if after > end:
        return -1
    lowest = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
    highest = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
    if raw[at + 1] < lowest or raw[at + 1] > highest:
        return -1
    for i in range(at + 2, after):
        if raw[i] & 0xC0 != 0x80:
            return -1
    return after


@kernel()
def word_at(raw: Raw, words: Wide, at: int, end: int) -> np.uint64:
    """Eight bytes as a number, those from `end` on zero."""
    if at < len(words):
        if at + 8 <= end:
            return np.uint64(words[index(at)].word)
        return np.uint64(words[index(at)].word) & ((_ONE << np.uint64(8 * (end - at))) - _ONE)
    word = _NONE
    for i in range(min(end, at + 8) - 1, at - 1, -1):
        word = word << np.uint64(8) | np.uint64(raw[i])
    return word


@kernel()
def key_of(raw: Raw, words: Wide, at: int, end: int) -> np.uint64:
    """The key of a text, as `detectors.keys` defines it."""
    key = np.uint64(end - at + 1) * _SEED
    while at < end:
        key = (key ^ word_at(raw, words, at, end)) * _FACTOR
        key ^= key >> _HALF
        at += 8
    key *= _LAST
    key ^= key >> _HALF
    return key if key != _NONE else _ONE


@kernel()
def same(raw: Raw, words: Wide, one: int, other: int, length: int) -> bool:
    """Whether two texts of one length in the buffer are the same."""
    for i in range(0, length, 8):
        if word_at(raw, words, one + i, one + length) != word_at(
            raw, words, other + i, other + length
        ):
            return False
    return True


@kernel(apart=True)
def is_name(raw: Raw, at: int, end: int) -> bool:
    """Whether a text keeps the rule for names of models and versions."""
    if end <= at or end - at > 128:
        return False
    for i in range(at, end):
        byte = raw[i]
        letter = 65 <= byte <= 90 or 97 <= byte <= 122 or byte == 95
        if not (letter or 45 <= byte <= 57):  # these are - . / and the digits
            return False
    return True


@kernel()
def digits(raw: Raw, at: int, count: int) -> int:
    """The number that so many digits are; -1 where one is no digit."""
    value = 0
    for i in range(at, at + count):
        digit = signed(raw[i]) - ZERO
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value
