"""Splits record batches in compiled loops: the splitter of the extra `fast`.

As in `batches_arrays`, only what is in order is split here; `batches.split` says what is wrong
with all else. Checksums are left to the package `crc32c`, which has an instruction for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from crc32c import crc32c

from watchkeeper.daemon.transport import batches
from watchkeeper.daemon.transport.batch_parts import headers_at
from watchkeeper.daemon.transport.batches import (
    APPEND_TIME,
    FORMAT,
    HEADER_SIZE,
    MAGIC_AT,
    PLAIN,
    Cursor,
    Split,
    Stop,
    keys_in,
)
from watchkeeper.daemon.transport.ports import Headers
from watchkeeper.daemon.transport.spans import Span
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import IntArray

Raw = npt.NDArray[np.uint8]
Table = npt.NDArray[Any]

_MOST_BATCHES = 65_536  # of a call
_EMPTY = 64  # batches without records there is room for
_LENGTH, _CHECKSUM, _CHECKED = 12, 17, 21
# Beyond it a timestamp is no longer exact as a float. `abs` of the least number is a negative one.
_LARGEST = 1 << 53
# What a loop over heads or records answers.
_FULL, _END, _OTHER, _ODD = 0, 1, 2, -1
_STOPS: tuple[Stop, ...] = ("full", "end", "other")
# The columns of the table of batches: where a batch and its first record begin and where it ends,
# its numbers, how many records are wanted of it, and whether these are its last.
_AT, _FROM, _LIMIT, _BASE, _LAST, _FIRST, _LATE, _EPOCH, _WANTED, _WHOLE = range(10)
# The rows of the table of records; they begin and end at places of the buffer.
_OFFSET, _KEY, _KEY_END, _VALUE, _VALUE_END, _HEADERS, _STOP = range(7)
_signed = cast(Callable[[Any], int], np.int64)


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
    found = _found(data, cursor, end, most, stops, check) if most > 0 else None
    piece = None if found is None else _piece(data, found, floor)
    return piece or batches.split(data, cursor, end, most, floor, stops, check)


class _Found(NamedTuple):
    """Records in order: where their parts are, what is true of all, and where to go on."""

    records: IntArray
    at: npt.NDArray[np.float64]
    size: int
    stop: Stop
    cursor: Cursor
    position: int
    epoch: int


def _found(
    data: bytes, cursor: Cursor, end: int, most: int, stops: int, check: bool
) -> _Found | None:
    """The records from `cursor` on; None where there are none or something is out of order."""
    raw = np.frombuffer(data, dtype=np.uint8)
    heads = np.empty((min(most, _MOST_BATCHES) + _EMPTY, 10), dtype=np.int64)
    state, count = _heads(raw, cursor.batch, cursor.record, cursor.done, end, most, stops, heads)
    heads = heads[:count]
    total = int(heads[:, _WANTED].sum())
    if state == _ODD or not total or (check and not _checksums_hold(data, heads, cursor)):
        return None
    records, at = np.empty((7, total), dtype=np.int64), np.empty(total)
    record, delta = _records(raw, heads, cursor.delta, records, at)
    if record < 0:
        return None
    *_, batch, _, limit, base, last, _, _, epoch, wanted, whole = heads[-1].tolist()
    size = int(heads[:-1, _LIMIT].sum() - heads[:-1, _FROM].sum()) + record - int(heads[-1, _FROM])
    if whole:
        return _Found(records, at, size, _STOPS[state], Cursor(limit), base + last + 1, epoch)
    done = wanted + (cursor.done if count == 1 else 0)
    on = Cursor(batch, record, done, delta)
    return _Found(records, at, size, _STOPS[state], on, base + delta + 1, epoch)


def _checksums_hold(data: bytes, heads: IntArray, cursor: Cursor) -> bool:
    view = memoryview(data)
    for i, (at, limit) in enumerate(heads[:, (_AT, _LIMIT)].tolist()):
        if i == 0 and cursor.record:
            continue  # it was looked at when its first record was
        expected = int.from_bytes(data[at + _CHECKSUM : at + _CHECKED], "big")
        if crc32c(view[at + _CHECKED : limit]) != expected:
            return False
    return True


def _piece(data: bytes, found: _Found, floor: int) -> Split | None:
    records, at = found.records, found.at
    try:
        headers = _headers(data, records)
    except (ValueError, IndexError):
        return None
    if records[_OFFSET, 0] < floor:
        cut = int(np.searchsorted(records[_OFFSET], floor))
        records, at = records[:, cut:], at[cut:]
        headers = headers[cut:] if headers and any(headers[cut:]) else None
    return Split(
        records[_OFFSET],
        at,
        None,
        Span(data, records[_VALUE], records[_VALUE_END]),
        keys_in(data, records[_KEY], records[_KEY_END]),
        headers,
        found.size,
        found.stop,
        found.cursor,
        found.position,
        found.epoch,
    )


def _headers(data: bytes, records: IntArray) -> list[Headers] | None:
    """The headers of each record; raises ValueError where one does not end as it should."""
    rows = np.flatnonzero(records[_HEADERS] >= 0).tolist()
    if not rows:
        return None
    found: list[Headers] = [()] * records.shape[1]
    for row in rows:
        found[row], behind = headers_at(data, int(records[_HEADERS, row]))
        if behind != records[_STOP, row]:
            raise ValueError("a record does not end where it says")
    return found if any(found) else None


def _example_of_heads() -> tuple[Any, ...]:
    table = np.zeros((1, 10), dtype=np.int64)
    return np.frombuffer(bytes(80), dtype=np.uint8), 0, 0, 0, 0, 0, 0, table


@kernel(_example_of_heads)
def _heads(
    raw: Raw, batch: int, record: int, done: int, end: int, most: int, stops: int, table: Table
) -> tuple[int, int]:
    """Reads the heads of batches until they have `most` records: why it ended, and how many."""
    rows = 0
    while most > 0 and rows < len(table):
        if end - batch < _LENGTH:
            return _END, rows
        limit = batch + _LENGTH + _big(raw, batch + 8, 4)
        if limit < batch + HEADER_SIZE or not -_LARGEST <= _big(raw, batch, 8) <= _LARGEST:
            return _ODD, rows
        if limit > end:
            return _END, rows
        if raw[batch + MAGIC_AT] != FORMAT:
            return _ODD, rows
        attributes = _big(raw, batch + 21, 2)
        if attributes & stops:
            return _OTHER, rows
        left = _big(raw, batch + 57, 4) - done
        if left < 0:
            return _ODD, rows
        late = attributes & APPEND_TIME
        row = table[rows]
        row[_AT], row[_LIMIT] = batch, limit
        row[_FROM] = record if record else batch + HEADER_SIZE
        row[_BASE], row[_LAST] = _big(raw, batch, 8), _big(raw, batch + 23, 4)
        row[_FIRST], row[_LATE] = _big(raw, batch + 35 if late else batch + 27, 8), late
        row[_EPOCH] = _big(raw, batch + 12, 4)
        row[_WANTED], row[_WHOLE] = min(left, most), left <= most
        most -= row[_WANTED]
        rows += 1
        batch, record, done = limit, 0, 0
    return _FULL if most <= 0 else _ODD, rows


@kernel()
def _big(raw: Raw, at: int, size: int) -> int:
    """A signed big-endian number."""
    value = _signed(np.int8(raw[at]))
    for i in range(at + 1, at + size):
        value = value << 8 | _signed(raw[i])
    return value


def _example_of_records() -> tuple[Any, ...]:
    raw, heads = np.frombuffer(bytes(80), dtype=np.uint8), np.zeros((2, 10), dtype=np.int64)
    return raw, heads, 0, np.zeros((7, 1), dtype=np.int64), np.zeros(1)


@kernel(_example_of_records)
def _records(raw: Raw, heads: Table, delta: int, records: Table, at: Table) -> tuple[int, int]:
    """Reads the records that are wanted of each batch into columns: where the last one ends, -1
    where one is out of order, and its offset delta."""
    n, p, before = 0, 0, -1
    for i in range(len(heads)):
        head = heads[i]
        p, delta = head[_FROM], (delta if i == 0 else -1)
        for _ in range(head[_WANTED]):
            p, number, later = _record(raw, p, head[_LIMIT], records, n)
            time = head[_FIRST] if head[_LATE] else head[_FIRST] + later
            offset = head[_BASE] + number
            if p < 0 or number <= delta or offset <= before or abs(later) > _LARGEST:
                return -1, -1
            if not -_LARGEST <= head[_FIRST] <= _LARGEST:
                return -1, -1
            delta, before = number, offset
            records[_OFFSET, n] = offset
            at[n] = float(max(time, 0)) / 1000.0
            n += 1
        if head[_WHOLE] and (p != head[_LIMIT] or delta > head[_LAST]):
            return -1, -1
    return p, delta


@kernel()
def _record(raw: Raw, p: int, limit: int, records: Table, n: int) -> tuple[int, int, int]:
    """Reads one record: where it ends, -1 where it is out of order; its offset and time deltas."""
    size, p = _varint(raw, p, limit)
    stop = p + size
    if p < 0 or size < 0 or stop > limit or p >= stop or raw[p] > 127:
        return -1, 0, 0
    later, p = _varint(raw, p + 1, stop)
    number, p = _varint(raw, p, stop)
    for part in (_KEY, _VALUE):
        size, p = _varint(raw, p, stop)
        if p < 0 or size > stop - p:
            return -1, 0, 0
        records[part, n] = p if size >= 0 else -1
        p += max(size, 0)
        records[part + 1, n] = p
    if p >= stop:
        return -1, 0, 0
    records[_STOP, n] = stop
    if raw[p] != 0:
        records[_HEADERS, n] = p
        return stop, number, later
    records[_HEADERS, n] = -1
    return (stop if p + 1 == stop else -1), number, later


@kernel()
def _varint(raw: Raw, p: int, stop: int) -> tuple[int, int]:
    """The number at `p`, in zigzag, and where the next byte is: -1 where it is none before `stop`
    or has more than 56 bits. What is below 0 stays."""
    value, shift = 0, 0
    while 0 <= p < stop and shift < 56:
        byte = _signed(raw[p])
        value |= (byte & 127) << shift
        p += 1
        if byte < 128:
            return (value >> 1) ^ -(value & 1), p
        shift += 7
    return 0, -1
