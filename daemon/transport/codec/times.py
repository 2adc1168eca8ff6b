"""Times as text to seconds, many at once.

The shape that nearly all have, `2026-03-01T12:00:00[.123456](Z|+01:00)`, is read in bulk; every
other text is left to msgspec, whose answers these are.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.transport.codec.lanes import Lanes, whole_numbers
from watchkeeper.detectors.events import Time
from watchkeeper.detectors.types import FloatArray, IntArray

_Bytes = npt.NDArray[np.uint8]

# In these years every count of microseconds is a double.
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_MONTHS = np.arange(
    f"{_FIRST_YEAR}-01", f"{_LAST_YEAR + 1}-02", dtype="datetime64[M]"
).astype("datetime64[D]")  # fmt: skip
_DAYS_BEFORE = _MONTHS[:-1].astype(np.int64)
_DAYS_IN = np.diff(_DAYS_BEFORE, append=_MONTHS[-1].astype(np.int64))

# Year, month, day, hour, minute and second, and what stands between them.
_DIGITS = (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)
_MARKS = {4: b"-", 7: b"-", 10: b"T", 13: b":", 16: b":"}
_SECONDS_END, _LONGEST = 19, 32
_WITHOUT_DIGITS, _MOST_DIGITS = 21, 6  # a time in UTC with a point and no digits behind it
_IN_A_ROW = 4  # times of one second, on average, that are worth to be read together
_BYTE, _THREE = np.uint64(0xFF), np.uint64(0xFFFFFF)
_THREE_BYTES, _FOUR_BYTES = np.uint64(24), np.uint64(32)
_ZULU = np.uint64(ord("Z") << 24)


def seconds_of(texts: Sequence[str]) -> FloatArray:
    """The moments in seconds since the epoch; NaN where a text is no time with an offset.

    >>> seconds_of(["1970-01-02T00:00:00.5Z", "1970-01-01T01:00:00+01:00", "soon"]).tolist()
    [86400.5, 0.0, nan]
    """
    if not texts:
        return np.empty(0)
    size = len(texts[0])
    if [*map(len, texts)].count(size) == len(texts):
        return _of_size(texts, size)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    size = int(np.bincount(np.minimum(lengths, _LONGEST + 1)).argmax())
    others = np.flatnonzero(lengths != size).tolist()
    if not _SECONDS_END < size <= _LONGEST:
        return _one_by_one(texts)
    # Most have one size: the others give way to one of these, and are read by themselves.
    even, filler = list(texts), texts[int((lengths == size).argmax())]
    for i in others:
        even[i] = filler
    at = _of_size(even, size)
    at[others] = seconds_of([texts[i] for i in others])
    return at


def seconds_in(bytes_: _Bytes) -> FloatArray:
    """The moments of texts of one size, a column a text; NaN also for some that are times."""
    at = np.full(bytes_.shape[1], np.nan)
    if _SECONDS_END < len(bytes_) <= _LONGEST:
        for zulu in (True, False):
            mine = (bytes_[-1] == ord("Z")) == zulu
            if mine.all():
                found, known = _shaped(bytes_, zulu)
                return np.where(known, found, np.nan)
            if mine.any():
                found, known = _shaped(np.ascontiguousarray(bytes_[:, mine]), zulu)
                at[mine] = np.where(known, found, np.nan)
    return at


def seconds_in_words(words: list[Lanes], size: IntArray) -> FloatArray:
    """The moments of texts as words of eight bytes, zeros behind them; NaN also for some that are
    times."""
    digits = int(size[0]) - _WITHOUT_DIGITS
    if 1 <= digits <= _MOST_DIGITS and (size == size[0]).all() and _zulu(words, int(size[0])):
        found = _by_the_second(words, digits)
        if found is not None:
            return found
    table = np.ascontiguousarray(np.stack(words, axis=1).view(np.uint8).T)
    lengths = np.flatnonzero(np.bincount(size)).tolist()
    if len(lengths) == 1:
        return seconds_in(table[: lengths[0]])
    at = np.full(len(size), np.nan)
    for length in lengths:
        mine = size == length
        at[mine] = seconds_in(np.ascontiguousarray(table[:length, mine]))
    return at


def _zulu(words: list[Lanes], size: int) -> bool:
    """Whether the first text ends with `Z`: with an offset it may be as long."""
    word, byte = divmod(size - 1, 8)
    return int(words[word][0]) >> 8 * byte & 0xFF == ord("Z")


def _by_the_second(words: list[Lanes], digits: int) -> FloatArray | None:
    """Times in UTC with so many digits behind the second, where many in a row are of one second:
    that is read once for all of these. None where it is not so."""
    within = words[2] & _THREE
    new = np.ones(len(within), dtype=np.bool_)
    new[1:] = words[0][1:] != words[0][:-1]
    new[1:] |= words[1][1:] != words[1][:-1]
    new[1:] |= within[1:] != within[:-1]
    first = np.flatnonzero(new)
    if _IN_A_ROW * len(first) > len(new):
        return None
    texts = np.stack((words[0][first], words[1][first], within[first] | _ZULU), axis=1)
    bytes_ = np.ascontiguousarray(texts.view(np.uint8).T)
    seconds = seconds_in(bytes_[: _SECONDS_END + 1])[np.cumsum(new) - 1]
    behind = words[2] >> _FOUR_BYTES
    if len(words) > 3:
        behind |= words[3] << _FOUR_BYTES
    micros, known = whole_numbers(behind, digits)
    known &= ((words[2] >> _THREE_BYTES) & _BYTE) == ord(".")
    known &= (behind >> np.uint64(8 * digits)) == ord("Z")
    known &= seconds == seconds
    whole = np.where(known, seconds, 0.0).astype(np.int64)
    return np.where(known, (whole * 1_000_000 + micros * 10 ** (6 - digits)) / 1e6, np.nan)


def _one_by_one(texts: Sequence[str]) -> FloatArray:
    return np.array([_seconds(text) for text in texts], dtype=np.float64)


def _seconds(text: str) -> float:
    try:
        return msgspec.convert(text, Time).timestamp()
    except msgspec.ValidationError:
        return float("nan")


def _of_size(texts: Sequence[str], size: int) -> FloatArray:
    """The moments of texts that all have one size."""
    whole = "".join(texts)
    if not _SECONDS_END < size <= _LONGEST or not whole.isascii():
        return _one_by_one(texts)
    table = np.frombuffer(whole.encode(), dtype=np.uint8).reshape(-1, size)
    bytes_ = np.ascontiguousarray(table.T)
    at = np.full(len(texts), np.nan)
    known = np.zeros(len(texts), dtype=np.bool_)
    # The last byte tells `Z` from an offset.
    for zulu in (True, False):
        mine = (bytes_[-1] == ord("Z")) == zulu
        if mine.all():
            at, known = _shaped(bytes_, zulu)
        elif mine.any():
            at[mine], known[mine] = _shaped(np.ascontiguousarray(bytes_[:, mine]), zulu)
    for i in np.flatnonzero(~known).tolist():
        at[i] = _seconds(texts[i])
    return at


def _shaped(bytes_: _Bytes, zulu: bool) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """The moments, and which of them are known: of the common shape and right in every field."""
    zone = len(bytes_) - (1 if zulu else 6)
    fraction = zone - _SECONDS_END
    n = bytes_.shape[1]
    if fraction == 1 or not 0 <= fraction <= 7:
        return np.empty(n), np.zeros(n, dtype=np.bool_)
    digits = bytes_ - np.uint8(ord("0"))
    numeric = [*_DIGITS, *range(_SECONDS_END + 1, zone)]
    known = np.ones(n, dtype=np.bool_)
    for place, mark in _MARKS.items():
        known &= bytes_[place] == ord(mark)
    if fraction:
        known &= bytes_[_SECONDS_END] == ord(".")
    offset = None
    if not zulu:
        numeric += [zone + 1, zone + 2, zone + 4, zone + 5]
        offset, right = _offset(bytes_[zone:], digits[zone:])
        known &= right
    known &= (digits[numeric] <= 9).all(axis=0)
    seconds, right = _clock(digits)
    known &= right
    if offset is not None:
        seconds = seconds - offset
    micros = seconds * 1_000_000
    if fraction:
        micros = micros + _micros(digits[_SECONDS_END + 1 : zone])
    return micros / 1e6, known


def _pair(digits: _Bytes, place: int) -> _Bytes:
    pair: _Bytes = digits[place] * np.uint8(10) + digits[place + 1]
    return pair


def _clock(digits: _Bytes) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Seconds since the epoch as the clock says, and whether it can say so."""
    year = _pair(digits, 0).astype(np.int64) * 100 + _pair(digits, 2)
    month, day = _pair(digits, 5), _pair(digits, 8)
    hour, minute, second = _pair(digits, 11), _pair(digits, 14), _pair(digits, 17)
    right = (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12)
    right &= (hour <= 23) & (minute <= 59) & (second <= 59) & (day >= 1)
    place = np.where(right, (year - _FIRST_YEAR) * 12 + month - 1, 0)
    right &= day <= _DAYS_IN[place]
    days = _DAYS_BEFORE[place] + day - 1
    return days * 86_400 + hour * np.int64(3_600) + minute * np.int64(60) + second, right


def _offset(bytes_: _Bytes, digits: _Bytes) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Seconds east of Greenwich of `+01:00`, and whether it is one."""
    hour, minute = _pair(digits, 1), _pair(digits, 4)
    east = bytes_[0] == ord("+")
    right = (east | (bytes_[0] == ord("-"))) & (bytes_[3] == ord(":"))
    right &= (hour <= 23) & (minute <= 59)
    seconds = hour * np.int64(3_600) + minute * np.int64(60)
    return np.where(east, seconds, -seconds), right


def _micros(digits: _Bytes) -> IntArray:
    micros = np.zeros(digits.shape[1], dtype=np.int64)
    for digit in digits:
        micros = micros * 10 + digit
    whole: IntArray = micros * 10 ** (6 - len(digits))
    return whole
