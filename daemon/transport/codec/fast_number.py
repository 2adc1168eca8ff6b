"""Kernels for JSON numbers and RFC 3339 times, exact to the last bit.

A number whose digits fit 2^53 and whose power of ten is at most 22 is one exact operation
(Clinger 1990); others of up to 19 digits are rounded by a product of 128 bits (Lemire 2021).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.transport.codec.fast_scan import (
    LOWER_E,
    MINUS,
    NINE,
    PLUS,
    POINT,
    UPPER_E,
    ZERO,
    Raw,
    Wide,
    digits,
    index,
    signed,
)
from watchkeeper.detectors.fast import kernel

_EXACT = np.uint64(2**53)
_TENS = np.array([float(10**i) for i in range(23)])
_MOST_DIGITS = 19
_MOST_TENS = 64
_NONE, _ONE, _TWO, _THREE = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
_HALF, _LOWER = np.uint64(32), np.uint64(0xFFFFFFFF)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONES, _HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_ZEROS, _ABOVE_NINE, _LAST = _ONES * np.uint64(ZERO), _ONES * np.uint64(0x76), np.uint64(0xFF)
_PAIRS, _FOURS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_NINE_BITS = np.uint64(0x1FF)
_MICROSECONDS = 1_000_000
# The epoch in days since 0000-03-01.
_EPOCH_DAY = 719_468


def _fives() -> npt.NDArray[np.uint64]:
    """128 bits of 5^q for q from -64 to 64, upper half and lower half, the first bit set."""
    table = np.zeros((2 * _MOST_TENS + 1, 2), dtype=np.uint64)
    for q in range(-_MOST_TENS, _MOST_TENS + 1):
        five = 5 ** abs(q)
        if q < 0:  # those that are used for an exact half are rounded up
            bits = (1 << (five.bit_length() + 127)) // five + (q >= -27)
        else:
            bits = (five << 128) >> five.bit_length()
        table[q + _MOST_TENS] = bits >> 64, bits & (2**64 - 1)
    return table


_FIVES = _fives()


@kernel()
def number(raw: Raw, words: Wide, at: int, end: int) -> tuple[int, float]:
    """Where the number ends, and its value; -1 where the typed decoder has to read it."""
    negative = raw[index(at)] == MINUS
    first = at + 1 if negative else at
    after, value = _short(words, first, end)
    if after < 0 or (negative and value == 0):
        return _long(raw, first, end, negative)
    return after, (-value if negative else value)


@kernel()
def _short(words: Wide, at: int, end: int) -> tuple[int, float]:
    """A number without sign and exponent that has at most seven bytes, read in one go; -1 where
    another way is needed."""
    if at >= len(words):
        return -1, 0.0
    word = np.uint64(words[index(at)].word)
    figures = word ^ _ZEROS  # bytes below ten are digits
    others = (figures | (figures + _ABOVE_NINE)) & _HIGH
    whole = _lowest(others)
    stop, fraction = whole, 0
    if whole < 8 and _byte(word, whole) == POINT:
        stop = _lowest(others & (others - _ONE))
        fraction = stop - whole - 1
        below = (_ONE << np.uint64(8 * whole)) - _ONE
        figures = (figures & below) | (figures >> np.uint64(8) & ~below)
        if fraction == 0:
            return -1, 0.0
    if whole == 0 or stop == 8 or at + stop > end or (whole > 1 and _byte(figures, 0) == 0):
        return -1, 0.0
    if _byte(word, stop) | 32 == LOWER_E:
        return -1, 0.0
    value = _together(figures << np.uint64(64 - 8 * (whole + fraction)))
    return at + stop, float(value) / _TENS[index(fraction)]


@kernel()
def _byte(word: np.uint64, place: int) -> int:
    return signed(word >> np.uint64(8 * place) & _LAST)


@kernel()
def _lowest(marks: np.uint64) -> int:
    """Which is the first byte that has its high bit set; 8 where none has."""
    below = (marks - _ONE) & ~marks
    places = signed((below & _ONES) * _ONES >> np.uint64(56))
    return places - 1 if marks != _NONE else places


@kernel()
def _together(figures: np.uint64) -> int:
    """The number that eight digits are, a byte each."""
    pairs = (figures * np.uint64(10) + (figures >> np.uint64(8))) & _PAIRS
    fours = (pairs * np.uint64(100) + (pairs >> np.uint64(16))) & _FOURS
    return signed((fours * np.uint64(10_000) + (fours >> _HALF)) & _LOWER)


@kernel()
def _long(raw: Raw, first: int, end: int, negative: bool) -> tuple[int, float]:
    """As `number`, digit by digit."""
    at, mantissa = _digits(raw, first, end, _NONE)
    count = at - first
    if count == 0 or (count > 1 and raw[first] == ZERO):
        return -1, 0.0
    exponent = 0
    if at < end and raw[index(at)] == POINT:
        point = at
        at, mantissa = _digits(raw, point + 1, end, mantissa)
        exponent = point + 1 - at
        if exponent == 0:
            return -1, 0.0
        count -= exponent
    if count > _MOST_DIGITS and _significant(raw, first, at) > _MOST_DIGITS:
        return -1, 0.0
    if exponent == 0 and mantissa > _EXACT:
        return -1, 0.0  # whether an integer fits 64 bits is for others to say
    if at < end and (raw[index(at)] == LOWER_E or raw[index(at)] == UPPER_E):
        at, power = _power(raw, at + 1, end)
        exponent += power
    if at < 0 or (mantissa == _NONE and negative and exponent == 0):
        return -1, 0.0
    value = _scaled(mantissa, exponent)
    return (at if value >= 0 else -1), (-value if negative else value)


@kernel()
def _digits(raw: Raw, at: int, end: int, value: np.uint64) -> tuple[int, np.uint64]:
    while at < end and ZERO <= raw[index(at)] <= NINE:
        value = value * np.uint64(10) + np.uint64(raw[index(at)] - ZERO)
        at += 1
    return at, value


@kernel(apart=True)
def _significant(raw: Raw, at: int, end: int) -> int:
    """How many digits there are from the first that is not zero."""
    while at < end and (raw[index(at)] == ZERO or raw[index(at)] == POINT):
        at += 1
    count = 0
    for i in range(at, end):
        count += raw[i] != POINT
    return count


@kernel(apart=True)
def _power(raw: Raw, at: int, end: int) -> tuple[int, int]:
    """The number behind an E, and where it ends: -1 where it is none or long."""
    negative = at < end and raw[index(at)] == MINUS
    if at < end and (raw[index(at)] == MINUS or raw[index(at)] == PLUS):
        at += 1
    after, value = _digits(raw, at, end, _NONE)
    if after == at or after > at + 4:
        return -1, 0
    return after, -signed(value) if negative else signed(value)


@kernel()
def _scaled(mantissa: np.uint64, exponent: int) -> float:
    """mantissa * 10^exponent, rightly rounded; -1 where this cannot tell."""
    if mantissa <= _EXACT and -22 <= exponent <= 22:
        value, ten = float(mantissa), float(_TENS[abs(exponent)])
        return value * ten if exponent >= 0 else value / ten
    if mantissa == _NONE:
        return 0.0
    if exponent < -_MOST_TENS or exponent > _MOST_TENS:
        return -1.0
    return _rounded(mantissa, exponent)


@kernel(apart=True)
def _rounded(mantissa: np.uint64, exponent: int) -> float:
    zeros = _leading_zeros(mantissa)
    shifted = mantissa << np.uint64(zeros)
    place = exponent + _MOST_TENS
    high, low = _product(shifted, _FIVES[place, 0])
    if high & _NINE_BITS == _NINE_BITS:
        more, _ = _product(shifted, _FIVES[place, 1])
        low += more
        if low < more:
            high += _ONE
    if low == _ALL:
        return -1.0
    upper = signed(high >> np.uint64(63))
    shift = np.uint64(upper + 9)
    bits = high >> shift
    halfway = low <= _ONE and -4 <= exponent <= 23 and bits & _THREE == _ONE
    if halfway and bits << shift == high:
        bits &= ~_ONE
    bits = (bits + (bits & _ONE)) >> _ONE
    power = ((217706 * exponent) >> 16) + upper - zeros + 64 - 53
    return math.ldexp(float(bits), power)


@kernel()
def _leading_zeros(value: np.uint64) -> int:
    zeros = 0
    for step in (32, 16, 8, 4, 2, 1):
        if value >> np.uint64(64 - step) == _NONE:
            value <<= np.uint64(step)
            zeros += step
    return zeros


@kernel()
def _product(one: np.uint64, other: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The upper and the lower half of a product."""
    a, b, c, d = one >> _HALF, one & _LOWER, other >> _HALF, other & _LOWER
    middle = a * d + (b * d >> _HALF)
    second = b * c + (middle & _LOWER)
    return a * c + (middle >> _HALF) + (second >> _HALF), one * other


@kernel(apart=True)
def moment(raw: Raw, at: int, end: int) -> float:
    """An RFC 3339 time in seconds since the epoch; -1 where the typed decoder has to read it."""
    if end - at < 20 or raw[at + 4] != MINUS or raw[at + 7] != MINUS or raw[at + 10] != 84:
        return -1.0
    if raw[at + 13] != 58 or raw[at + 16] != 58:
        return -1.0
    seconds = _day(raw, at)
    hour, minute, second = digits(raw, at + 11, 2), digits(raw, at + 14, 2), digits(raw, at + 17, 2)
    if seconds < 0 or hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return -1.0
    if second < 0 or second > 59:
        return -1.0
    seconds += hour * 3600 + minute * 60 + second
    at, fraction = _fraction(raw, at + 19, end)
    away = _away(raw, at, end)
    if fraction < 0 or away < -86_400:
        return -1.0
    return float((seconds - away) * _MICROSECONDS + fraction) / 1e6


@kernel()
def _day(raw: Raw, at: int) -> int:
    """The seconds from the epoch to the beginning of a day; -1 where it is none since 1970."""
    year, month, day = digits(raw, at, 4), digits(raw, at + 5, 2), digits(raw, at + 8, 2)
    if year < 1970 or year > 2200 or month < 1 or month > 12 or day < 1:
        return -1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 28 + leap if month == 2 else 31 - (month - 1) % 7 % 2
    if day > longest:
        return -1
    years = year - (month <= 2)  # those that begin in March
    days = years * 365 + years // 4 - years // 100 + years // 400
    return 86_400 * (days + (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - _EPOCH_DAY)


@kernel()
def _fraction(raw: Raw, at: int, end: int) -> tuple[int, int]:
    """Where a second's fraction ends, and its microseconds; -1 where it is none."""
    if at >= end or raw[index(at)] != POINT:
        return at, 0
    first, value = at + 1, 0
    at = first
    while at < end and ZERO <= raw[index(at)] <= NINE:
        if at - first < 6:
            value = value * 10 + signed(raw[index(at)]) - ZERO
        at += 1
    for _ in range(at - first, 6):
        value *= 10
    if at - first > 6 and raw[first + 6] >= ZERO + 5:
        value += 1
    return at, (value if at > first else -1)


@kernel()
def _away(raw: Raw, at: int, end: int) -> int:
    """The seconds by which a time's zone is ahead of UTC; far below a day where it is none."""
    if at + 1 == end and raw[index(at)] == 90:
        return 0
    if at + 6 != end or raw[at + 3] != 58 or (raw[index(at)] != PLUS and raw[index(at)] != MINUS):
        return -100_000
    hours, minutes = digits(raw, at + 1, 2), digits(raw, at + 4, 2)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return -100_000
    away = hours * 3600 + minutes * 60
    return -away if raw[index(at)] == MINUS else away
