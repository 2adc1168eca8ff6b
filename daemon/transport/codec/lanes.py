"""Texts and numbers in a buffer, eight bytes of many rows in each operation.

A word is eight bytes as a little-endian number, so that a text's first byte is its lowest. Bytes
behind a text's end are zero. What is not plain is only told, never guessed: others read it.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors import keys
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

Lanes = npt.NDArray[np.uint64]

PADDING = 24  # bytes that must stand behind the last one that is read
AT_ONCE = 16_384  # words of one operation: their results stay in a cache
LONGEST_NUMBER = 24  # bytes of a number that is read here
_LONGEST_ALONE = 64
_MOST_DIGITS = 19  # their number is below 2**64

_ALL = np.uint64(2**64 - 1)
_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_SPACES, _QUOTES, _BACKSLASHES = (_ONES * np.uint64(byte) for byte in b' "\\')
_POINTS, _ZEROS = (_ONES * np.uint64(byte) for byte in b".0")
_ABOVE_NINE = _ONES * np.uint64(0x76)
_WHICH_BYTE = np.uint64(0x0001020304050607)
_PAIRS, _FOURS, _EIGHT = map(
    np.uint64, (0x00FF00FF00FF00FF, 0x0000FFFF0000FFFF, 0x00000000FFFFFFFF)
)
_U0, _U1, _U3, _U7, _U8, _U16, _U32, _U56, _U64 = map(np.uint64, (0, 1, 3, 7, 8, 16, 32, 56, 64))
_TEN, _HUNDRED, _MYRIAD, _LOWEST = map(np.uint64, (10, 100, 10_000, 255))
_MINUS, _ZERO = map(np.uint64, b"-0")
# From digits to their number: two become one, and so on.
_STEPS = (_TEN, _U8, _PAIRS), (_HUNDRED, _U16, _FOURS), (_MYRIAD, _U32, _EIGHT)
_POWERS: FloatArray = np.array([float(f"1e{i}") for i in range(23)])  # all are exact
_EXACT = np.uint64(2**53)
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
NULL, TRUE, FALSE = (
    np.uint64(int.from_bytes(text, "little")) for text in (b"null", b"true", b"false")
)


def words_in(buffer: bytes, begin: int, end: int) -> tuple[Lanes, int]:
    """The words of a part of a buffer, which begin at the byte that is given too, at most seven
    before the part's; and room behind it."""
    first = begin & ~7
    count = (end + PADDING - first + 7) // 8
    if first + 8 * count <= len(buffer):
        return np.frombuffer(buffer, dtype="<u8", count=count, offset=first), first
    part = b"".join((memoryview(buffer)[first:end], bytes(PADDING + (first - end) % 8)))
    return np.frombuffer(part, dtype="<u8"), first


def load(words: Lanes, at: IntArray, count: int) -> list[Lanes]:
    """The words that begin at these bytes, and those behind them; any where there are no bytes."""
    place, shift = at >> 3, at.view(np.uint64) & _U7
    shift <<= _U3
    back = _U64 - shift  # a shift by 64 gives 0
    found, part = [], words.take(place, mode="clip")
    for _ in range(count):
        place += 1
        behind = words.take(place, mode="clip")
        part >>= shift
        part |= behind << back
        found.append(part)
        part = behind
    return found


def cut(words: list[Lanes], size: IntArray) -> list[Lanes]:
    """The words without what is behind `size` bytes."""
    return [
        word if kept is None else word & kept
        for word, kept in zip(words, _kept(size, len(words)), strict=True)
    ]


def _kept(size: IntArray, count: int) -> list[Lanes | None]:
    """Ones in as many bytes as texts of these sizes have of each of their words; None: in all."""
    kept: list[Lanes | None] = []
    shortest, longest = (int(size.min()), int(size.max())) if size.size else (0, 0)
    for begin in range(0, 8 * count, 8):
        if shortest >= begin + 8:
            kept.append(None)
            continue
        here = size - begin
        if shortest < begin:
            np.maximum(here, 0, out=here)
        if longest > begin + 8:
            np.minimum(here, 8, out=here)
        here <<= 3
        kept.append(_ALL >> (_U64 - here.view(np.uint64)))
    return kept


def plain(words: list[Lanes], size: IntArray) -> BoolArray:
    """Whether texts, as `cut` gives them, stand in JSON as they are: ASCII without escapes."""
    odd: Any = None
    for word, kept in zip(words, _kept(size, len(words)), strict=True):
        # Below 128 a byte's highest bit comes by a loan alone: where less is taken from than is.
        found = word ^ _QUOTES
        found -= _ONES
        less = word ^ _BACKSLASHES
        less -= _ONES
        found |= less
        found |= word - _SPACES
        found |= word
        if kept is not None:
            found &= kept
        odd = found if odd is None else odd | found
    odd &= _HIGH
    right: BoolArray = odd == _U0
    return right


def hashed(words: list[Lanes], size: IntArray) -> Lanes:
    """The keys of texts, as `keys.keys_of` gives them."""
    factor, length = np.uint64(keys.FACTOR), size.view(np.uint64)
    found = (length + _U1) * np.uint64(keys.SEED)
    shortest = int(size.min())
    for i, word in enumerate(words):
        mixed = found ^ word
        mixed *= factor
        mixed ^= mixed >> _U32
        found = mixed if shortest > 8 * i else np.where(size > 8 * i, mixed, found)
    found *= np.uint64(keys.LAST)
    found ^= found >> _U32
    found[found == _U0] = _U1
    return found


def numbers(words: Lanes, at: IntArray, size: IntArray, raw: Any) -> tuple[FloatArray, BoolArray]:
    """The numbers that stand at these bytes, and which of them do; `raw` gives bytes [a:b].

    They are the doubles nearest to what is written. Zeros with a minus are left to others.
    """
    shape = at.shape
    at, size = at.ravel(), size.ravel()
    value, right = np.empty(len(at)), np.empty(len(at), dtype=np.bool_)
    for i in range(0, len(at), AT_ONCE):
        some = slice(i, i + AT_ONCE)
        word = cut(load(words, at[some], 1), np.minimum(size[some], 8))[0]
        value[some], right[some] = _short(word, size[some])
    rest = np.flatnonzero(size > 8)
    if len(rest):
        right[rest] = False
        value[rest], right[rest] = _long(words, at[rest], size[rest], raw)
    return value.reshape(shape), right.reshape(shape)


def _short(word: Lanes, size: IntArray) -> tuple[FloatArray, BoolArray]:
    """Numbers of at most eight bytes."""
    count = size.view(np.uint64)
    minus = (word & _LOWEST) == _MINUS
    signed = bool(minus.any())
    if signed:
        less = minus.astype(np.uint64)
        word, count = word >> (less << _U3), count - less
    low = word ^ _POINTS
    hit = low - _ONES
    np.invert(low, out=low)
    hit &= low
    hit &= _HIGH
    np.negative(hit, out=low)
    low &= hit
    low >>= _U7  # one in the byte of the point, if there is any
    point = low != _U0
    below = low - _U1
    count = count - point
    low *= _WHICH_BYTE
    low >>= _U56
    whole = np.where(point, low, count)
    fraction = count - whole
    number = word >> _U8  # the digits without the point
    below &= number ^ word
    number ^= below
    number ^= _ZEROS
    gap = _U8 - count  # of no use where the text is longer than eight bytes
    gap <<= _U3
    number <<= gap
    odd = number + _ABOVE_NINE
    odd |= number
    odd &= _HIGH
    right: BoolArray = odd == _U0
    right &= whole >= _U1
    right &= fraction >= point
    right &= ((word & _LOWEST) != _ZERO) | (whole == _U1)
    _add_up(number)
    value = number.view(np.int64) / _POWERS.take(fraction.view(np.int64), mode="clip")
    if signed:
        right &= ~minus | (number != _U0)
        np.negative(value, out=value, where=minus)
    return value, right


def _add_up(digits: Lanes) -> None:
    """Makes a number of eight digits, a byte each, the first of them lowest."""
    for factor, shift, kept in _STEPS:
        behind = digits >> shift
        digits *= factor
        digits += behind
        digits &= kept


def whole_numbers(word: Lanes, digits: int) -> tuple[IntArray, BoolArray]:
    """The whole numbers that the first so many bytes are, and where they are digits."""
    number = word ^ _ZEROS
    number <<= np.uint64(8 * (8 - digits))
    odd = number + _ABOVE_NINE
    odd |= number
    odd &= _HIGH
    _add_up(number)
    return number.view(np.int64), odd == _U0


def _long(words: Lanes, at: IntArray, size: IntArray, raw: Any) -> tuple[FloatArray, BoolArray]:
    """Numbers of more than eight bytes: byte by byte, or one by one where that is not enough."""
    columns = np.stack(load(words, at, LONGEST_NUMBER // 8), axis=1).view(np.uint8)
    bytes_ = np.ascontiguousarray(columns.T)
    place = np.arange(LONGEST_NUMBER)[:, None]
    inside = place < size
    digit = bytes_ - np.uint8(ord("0"))
    is_digit = (digit <= 9) & inside
    is_point = (bytes_ == ord(".")) & inside
    minus = bytes_[0] == ord("-")
    count, points = is_digit.sum(axis=0), is_point.sum(axis=0)
    where = np.where(points > 0, is_point.argmax(axis=0), size)
    whole = where - minus
    first = np.where(minus, digit[1], digit[0])
    right = (count + points + minus == size) & (points <= 1) & (count <= _MOST_DIGITS)
    right &= (whole >= 1) & ((first != 0) | (whole == 1)) & (where + 1 != size)
    number = np.zeros(len(at), dtype=np.uint64)
    for mine, figure in zip(is_digit, digit, strict=True):
        number = np.where(mine, number * _TEN + figure, number)
    fraction = np.clip(size - 1 - where, 0, None)
    right &= (number != 0) & (fraction < len(_POWERS))
    value = np.empty(len(at))
    exact = right & (number <= _EXACT)
    power = _POWERS[np.where(right, fraction, 0)]
    value[exact] = number[exact].astype(np.float64) / power[exact]
    near = np.flatnonzero(right & ~exact)
    if len(near):
        value[near], right[near] = _nearest(number[near], power[near])
    value = np.where(minus, -value, value)
    for i in np.flatnonzero(~right).tolist():
        text = raw(int(at[i]), int(at[i] + min(size[i], _LONGEST_ALONE + 1)))
        if len(text) <= _LONGEST_ALONE and _NUMBER.fullmatch(text):
            value[i] = float(text)
            right[i] = np.isfinite(value[i]) and value[i] != 0
    return value, right


def _nearest(number: Lanes, power: FloatArray) -> tuple[FloatArray, BoolArray]:
    """The doubles nearest to quotients, and where that is sure: where it is not, the quotient lies
    next to the middle of two. Division is followed by Dekker's exact product of 1971."""
    high = (number & ~np.uint64(0x7FF)).astype(np.float64)
    low = (number & np.uint64(0x7FF)).astype(np.float64)
    guess = high / power
    product, error = _product(guess, power)
    more = ((high - product) - error + low) / power
    found = guess + more
    missed = more - (found - guess)
    sure = np.abs(missed) < np.spacing(found) * (0.5 - 2.0**-30)
    # Below a power of two the doubles are closer.
    sure &= np.frexp(found)[0] != 0.5
    return found, sure


def _product(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The rounded product, and what it lacks of the exact one."""
    split = 134_217_729.0
    t = a * split
    a_high = t - (t - a)
    a_low = a - a_high
    t = b * split
    b_high = t - (t - b)
    b_low = b - b_high
    product = a * b
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error
