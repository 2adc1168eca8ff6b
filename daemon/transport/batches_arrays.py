"""Splits record batches by arrays: one loop over the records' lengths, NumPy for all the rest.

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
            if walk.begins:
                return _columns(data, walk, floor)
        except (_Odd, ValueError, IndexError):
            pass
    return batches.split(data, cursor, end, most, floor, stops, check)


class _Walk(NamedTuple):
    """Where the records begin, behind their lengths, and where they end; then by batch, or part of
    one: base offset, last offset delta, first timestamp, whether the broker gave the timestamps,
    and the number of records. `whole`: the last batch was walked to its end."""

    begins: list[int]
    ends: list[int]
    bases: list[int]
    lasts: list[int]
    firsts: list[int]
    appended: list[bool]
    counts: list[int]
    whole: bool
    size: int
    stop: Stop
    cursor: Cursor
    epoch: int


def _walk(data: bytes, cursor: Cursor, end: int, most: int, stops: int, check: bool) -> _Walk:
    batch, record, done, delta = cursor
    begins: list[int] = []
    ends: list[int] = []
    bases: list[int] = []
    lasts: list[int] = []
    firsts: list[int] = []
    appended: list[bool] = []
    counts: list[int] = []
    begun, ended = begins.append, ends.append
    epoch, size, whole = -1, 0, True
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
        if not record:
            if check and crc32c(view[batch + _CHECKED : limit]) != checksum:
                raise _Odd
            record = batch + HEADER_SIZE
        epoch = epoch_here
        wanted = min(count - done, most)
        p = record
        for _ in range(wanted):
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
        done += wanted
        most -= wanted
        size += p - record
        whole = done >= count
        if p > limit or (whole and p != limit):
            raise _Odd
        late = attributes & APPEND_TIME != 0
        bases.append(base)
        lasts.append(last)
        firsts.append(newest if late else first)
        appended.append(late)
        counts.append(wanted)
        record = p
        if whole:
            batch, record, done = limit, 0, 0
    if stop == "end" and batches.remnant(data, batch, end) != ("end", ""):
        raise _Odd
    # The delta of the last record is not known yet.
    at = Cursor(batch, record, done, delta)
    return _Walk(begins, ends, bases, lasts, firsts, appended, counts, whole, size, stop, at, epoch)


def _columns(data: bytes, walk: _Walk, floor: int) -> Split:
    buffer = np.frombuffer(data, dtype=np.uint8)
    at, ends = np.array(walk.begins, dtype=np.int64), np.array(walk.ends, dtype=np.int64)
    if (buffer[at] > 127).any():
        raise _Odd
    later, at = _varints(buffer, at + 1)
    delta, at = _varints(buffer, at)
    offset = _spread(walk.bases, walk.counts) + delta
    cursor, position = _checked(walk, offset, delta)
    first = _spread(walk.firsts, walk.counts)
    if any(walk.appended):
        later = np.where(np.repeat(walk.appended, walk.counts), 0, later)
    if max(np.abs(first).max(), np.abs(later).max()) > _LARGEST:
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
        walk.stop,
        cursor,
        position,
        walk.epoch,
    )


def _spread(values: list[int], counts: list[int]) -> IntArray:
    """A batch's value for each of its records."""
    if len(counts) == 1:
        return np.full(counts[0], values[0], dtype=np.int64)
    return np.repeat(np.array(values, dtype=np.int64), counts)


def _checked(walk: _Walk, offset: IntArray, delta: IntArray) -> tuple[Cursor, int]:
    """Where to go on, and the offset to fetch next; all offsets must rise within their batches."""
    # Of a batch that is gone on with, the records before are not looked at again.
    if (offset[1:] <= offset[:-1]).any() or (delta < 0).any() or delta[0] <= walk.cursor.delta:
        raise _Odd
    counts = np.array(walk.counts)
    filled = counts > 0
    if (delta[(np.cumsum(counts) - 1)[filled]] > np.array(walk.lasts)[filled]).any():
        raise _Odd
    if walk.whole:
        return walk.cursor._replace(delta=-1), walk.bases[-1] + walk.lasts[-1] + 1
    return walk.cursor._replace(delta=int(delta[-1])), int(offset[-1]) + 1


def _varints(buffer: Bytes, at: IntArray) -> tuple[IntArray, IntArray]:
    """The numbers that begin at these places, in zigzag, and where each ends."""
    byte = buffer[at]
    raw = byte.astype(np.int64)
    at = at + 1
    rows = np.flatnonzero(byte > 127)
    shift = 7
    if len(rows):
        raw &= 127
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
