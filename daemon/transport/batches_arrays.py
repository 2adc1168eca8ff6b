"""Splits record batches by arrays: NumPy for all but the heads of batches, and where records are
not to be told by the zeros between them a loop over their lengths.

Only what is in order is split here. Whatever is not, and what is too little to be worth it, goes
to `batches.split`, which says what is wrong with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from crc32c import crc32c

from watchkeeper.daemon.transport import batches
from watchkeeper.daemon.transport.batch_parts import headers_at, varint
from watchkeeper.daemon.transport.batches import (
    APPEND_TIME,
    HEADER,
    HEADER_SIZE,
    PLAIN,
    Cursor,
    Split,
    Stop,
    keys_in,
)
from watchkeeper.daemon.transport.ports import Headers
from watchkeeper.daemon.transport.spans import Span
from watchkeeper.detectors.frames import IntArray

_WORTH_IT = 8_192  # bytes
_LARGEST = 1 << 53  # beyond it a timestamp is no longer exact as a float
_LENGTH, _CHECKED = 12, 21
# Of records that are looked for by zeros: as many at least, as many bytes and zeros each at most.
_MANY, _WIDE, _ZEROS = 16, 4_096, 16
_LONGEST_LENGTH = 3  # bytes of a record's length
Bytes = npt.NDArray[np.uint8]


class _Odd(Exception):
    """Something is out of order."""


def split(
    data: bytes,
    cursor: Cursor,
    end: int,
    most: int,
    floor: int = 0,
    stops: int = PLAIN,
    check: bool = True,
) -> Split:
    """As `batches.split`."""
    if end - cursor.batch >= _WORTH_IT and most > 1:
        try:
            walk = _walk(data, cursor, end, most, stops, check)
            return _columns(data, walk, floor)
        except (_Odd, ValueError, IndexError):
            pass
    return batches.split(data, cursor, end, most, floor, stops, check)


class _Heads(NamedTuple):
    """What the heads of batches say, by batch or part of one: the place of the first record, where
    the batch ends, how many records are wanted of it; base offset, last offset delta, first
    timestamp, and whether the broker gave the timestamps. `whole`: the last one is wanted to its
    end; of others at `batch` so many records are `done`."""

    records: list[int]
    limits: list[int]
    counts: list[int]
    bases: list[int]
    lasts: list[int]
    firsts: list[int]
    appended: list[bool]
    whole: bool
    stop: Stop
    batch: int
    done: int
    epoch: int


class _Walk(NamedTuple):
    """Where the records begin, behind their lengths, and where they end; their bytes, and where to
    go on."""

    begins: IntArray
    ends: IntArray
    heads: _Heads
    size: int
    cursor: Cursor


def _walk(data: bytes, cursor: Cursor, end: int, most: int, stops: int, check: bool) -> _Walk:
    heads = _heads(data, cursor, end, most, stops, check)
    counts, limits = np.array(heads.counts), np.array(heads.limits)
    first = np.array(heads.records)
    if not counts.any():
        raise _Odd
    begins, ends = _between_zeros(data, heads) or _one_by_one(data, heads)
    last = np.where(counts > 0, ends.take(np.cumsum(counts) - 1, mode="clip"), first)
    left = limits - last
    if (left < 0).any() or left[: len(left) - (not heads.whole)].any():
        raise _Odd
    if heads.stop == "end" and batches.remnant(data, heads.batch, end) != ("end", ""):
        raise _Odd
    # The delta of the last record is not known yet.
    at = Cursor(heads.batch, 0 if heads.whole else int(last[-1]), heads.done, cursor.delta)
    return _Walk(begins, ends, heads, int((last - first).sum()), at)


def _heads(data: bytes, cursor: Cursor, end: int, most: int, stops: int, check: bool) -> _Heads:
    batch, record, done, _ = cursor
    records: list[int] = []
    limits: list[int] = []
    counts: list[int] = []
    bases: list[int] = []
    lasts: list[int] = []
    firsts: list[int] = []
    appended: list[bool] = []
    epoch, whole = -1, True
    stop: Stop = "full"
    view = memoryview(data)
    while most > 0:
        if end - batch < HEADER_SIZE:
            stop = "end"
            break
        base, length, epoch_here, magic, checksum, attributes, last, first, newest, count = (
            HEADER.unpack_from(data, batch)
        )
        limit = batch + _LENGTH + length
        if (
            length < HEADER_SIZE - _LENGTH
            or magic != batches.FORMAT
            or count < done
            or abs(base) > _LARGEST
        ):
            raise _Odd
        if limit > end:
            stop = "end"
            break
        if attributes & stops:
            stop = "other"
            break
        if not record and check and crc32c(view[batch + _CHECKED : limit]) != checksum:
            raise _Odd
        epoch = epoch_here
        wanted = min(count - done, most)
        late = attributes & APPEND_TIME != 0
        records.append(record or batch + HEADER_SIZE)
        limits.append(limit)
        counts.append(wanted)
        bases.append(base)
        lasts.append(last)
        firsts.append(newest if late else first)
        appended.append(late)
        most -= wanted
        whole = done + wanted == count
        batch, record, done = (limit, 0, 0) if whole else (batch, record, done + wanted)
    found = records, limits, counts, bases, lasts, firsts, appended
    return _Heads(*found, whole, stop, batch, done, epoch)


def _one_by_one(data: bytes, heads: _Heads) -> tuple[IntArray, IntArray]:
    """Where records begin, behind their lengths, and end."""
    begins: list[int] = []
    ends: list[int] = []
    begun, ended = begins.append, ends.append
    for place, count in zip(heads.records, heads.counts, strict=True):
        p = place
        for _ in range(count):
            a = data[p]
            if a < 128:
                p += 1
            elif (b := data[p + 1]) < 128:
                a, p = a & 127 | b << 7, p + 2
            else:
                raw, p = varint(data, p)
                a = raw << 1
            if a & 1:
                raise _Odd
            begun(p)
            p += a >> 1
            ended(p)
    return np.array(begins, dtype=np.int64), np.array(ends, dtype=np.int64)


def _between_zeros(data: bytes, heads: _Heads) -> tuple[IntArray, IntArray] | None:
    """The same of records without headers: a zero says so at the end of each, and the next one's
    attributes are a zero right behind its length. None where that is not so, or is not worth it:
    what is found holds only if every record begins where the one before it ends."""
    counts = np.array(heads.counts)
    counts, first = counts[counts > 0], np.array(heads.records)[counts > 0]
    n, begin, end = int(counts.sum()), int(first[0]), heads.limits[-1]
    size, p = varint(data, begin)
    if n < _MANY or end - begin > n * _WIDE or data[p + size - 1]:
        return None
    buffer = np.frombuffer(data, dtype=np.uint8)
    zero = buffer[begin:end] == 0
    if np.count_nonzero(zero) > n * _ZEROS:
        return None
    zeros = np.flatnonzero(zero) + (begin + 1)
    apart = np.diff(zeros)
    starts = zeros[:-1][(apart > 1) & (apart <= _LONGEST_LENGTH + 1)]
    behind = np.searchsorted(starts, first, side="right")
    place = np.cumsum(counts) - counts
    start = starts.take(np.arange(n) + np.repeat(behind - 1 - place, counts), mode="clip")
    start[place] = first
    sizes, begins = _varints(buffer, start)
    ends = begins + sizes
    follows = start[1:] == ends[:-1]
    follows[place[1:] - 1] = True
    return (begins, ends) if follows.all() and sizes.min() >= 0 else None


def _columns(data: bytes, walk: _Walk, floor: int) -> Split:
    buffer, heads = np.frombuffer(data, dtype=np.uint8), walk.heads
    at, ends = walk.begins, walk.ends
    if (buffer[at] > 127).any():
        raise _Odd
    later, at = _varints(buffer, at + 1)
    delta, at = _varints(buffer, at)
    offset = _spread(heads.bases, heads.counts) + delta
    cursor, position = _checked(walk, offset, delta)
    first = _spread(heads.firsts, heads.counts)
    if any(heads.appended):
        later = np.where(np.repeat(heads.appended, heads.counts), 0, later)
    # The size of the least number there is would be a negative one.
    if min(first.min(), later.min()) < -_LARGEST or max(first.max(), later.max()) > _LARGEST:
        raise _Odd
    stamps = np.maximum((first + later).astype(np.float64), 0.0) / 1000
    key_size, key_at = _varints(buffer, at)
    key_end = key_at + np.maximum(key_size, 0)
    size, value_at = _varints(buffer, key_end)
    value_end = value_at + np.maximum(size, 0)
    headers = _headers(data, buffer, value_end, ends)
    key_at = np.where(key_size < 0, -1, key_at) if (key_size < 0).any() else key_at
    value_at = np.where(size < 0, -1, value_at) if (size < 0).any() else value_at
    cut = int(np.searchsorted(offset, floor)) if len(offset) and offset[0] < floor else 0
    if cut and headers is not None:
        headers = headers[cut:] if any(headers[cut:]) else None
    return Split(
        offset[cut:],
        stamps[cut:],
        None,
        Span(data, value_at[cut:], value_end[cut:]),
        keys_in(data, key_at[cut:], key_end[cut:]),
        headers,
        walk.size,
        heads.stop,
        cursor,
        position,
        heads.epoch,
    )


def _spread(values: list[int], counts: list[int]) -> IntArray:
    """A batch's value for each of its records."""
    if len(counts) == 1:
        return np.full(counts[0], values[0], dtype=np.int64)
    return np.repeat(np.array(values, dtype=np.int64), counts)


def _checked(walk: _Walk, offset: IntArray, delta: IntArray) -> tuple[Cursor, int]:
    """Where to go on, and the offset to fetch next; all offsets must rise within their batches."""
    heads = walk.heads
    # A batch without records may end right before its own offset, and no earlier.
    if min(heads.lasts) < -1:
        raise _Odd
    # Of a batch that is gone on with, the records before are not looked at again.
    if (offset[1:] <= offset[:-1]).any() or (delta < 0).any() or delta[0] <= walk.cursor.delta:
        raise _Odd
    counts = np.array(heads.counts)
    filled = counts > 0
    if (delta[(np.cumsum(counts) - 1)[filled]] > np.array(heads.lasts)[filled]).any():
        raise _Odd
    if heads.whole:
        return walk.cursor._replace(delta=-1), heads.bases[-1] + heads.lasts[-1] + 1
    return walk.cursor._replace(delta=int(delta[-1])), int(offset[-1]) + 1


def _varints(buffer: Bytes, at: IntArray) -> tuple[IntArray, IntArray]:
    """The numbers that begin at these places, in zigzag, and where each ends."""
    byte = buffer[at]
    raw, at = byte.astype(np.int64), at + 1
    more = byte > 127
    rows, shift = np.flatnonzero(more), 7
    if len(rows):
        # Nearly all have two bytes: the second is read of all, and counts where there is one.
        byte = np.where(more, buffer.take(at, mode="clip"), 0)
        raw = (raw & 127) | (byte & 127).astype(np.int64) << 7
        at += more
        rows, shift = np.flatnonzero(byte > 127), 14
    while len(rows):
        if shift > 49:
            raise _Odd
        byte = buffer[at[rows]]
        raw[rows] |= (byte & 127).astype(np.int64) << shift
        at[rows] += 1
        rows = rows[byte > 127]
        shift += 7
    return (raw >> 1) ^ -(raw & 1), at


def _headers(data: bytes, buffer: Bytes, at: IntArray, ends: IntArray) -> list[Headers] | None:
    """The headers at these places; each record must end right behind them."""
    rows = np.flatnonzero(buffer[at])
    behind = at + 1
    if not len(rows):
        if (behind != ends).any():
            raise _Odd
        return None
    found: list[Headers] = [()] * len(at)
    for row in rows.tolist():
        found[row], behind[row] = headers_at(data, int(at[row]))
    if (behind != ends).any():
        raise _Odd
    return found if any(found) else None
