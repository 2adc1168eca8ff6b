"""Splits record batches, as they came from a broker, into columns: the specification.

`split` is the whole contract. It is pure, knows no client library, and makes no object a record.
A faster splitter takes the same arguments and gives the same answer.
"""

from __future__ import annotations

import functools
import threading
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Literal, NamedTuple

import numpy as np
from crc32c import crc32c

from watchkeeper.daemon.transport.batch_parts import headers_at, sized, varint
from watchkeeper.daemon.transport.ports import Headers
from watchkeeper.daemon.transport.spans import Span, Texts
from watchkeeper.detectors import fast
from watchkeeper.detectors.frames import FloatArray, IntArray

# base offset, length, leader epoch, magic, checksum, attributes, last offset delta, first and
# newest timestamp, (producer id, its epoch, base sequence,) number of records
HEADER = Struct(">qiiBIhiqq14xi")
HEADER_SIZE = HEADER.size
FORMAT = 2
MAGIC_AT = 16
_AFTER_LENGTH, _AFTER_CHECKSUM, _SMALLEST = 12, 21, 26
CODEC, APPEND_TIME, TRANSACTIONAL, CONTROL = 0x07, 0x08, 0x10, 0x20
# What a batch must not be, to be split without more ado.
PLAIN = CODEC | TRANSACTIONAL | CONTROL

_distrusted = threading.Event()  # compiled loops that gave another answer

Stop = Literal["full", "end", "other", "fault"]


class Cursor(NamedTuple):
    """Where splitting goes on: inside the batch that begins at byte `batch`, at the record that
    begins at byte `record` after `done` of its records, the last of which had the offset delta
    `delta`. `record` is 0 before the batch was looked at."""

    batch: int
    record: int = 0
    done: int = 0
    delta: int = -1


@dataclass(frozen=True, slots=True)
class Split:
    """Some records as columns, why they are not more, and where to go on.

    `offset` rises strictly. `at` is in seconds since the epoch, 0.0 where the record has no
    timestamp. Exactly one of `values` and `span` is there. `keys` and `headers` are None where no
    record has any. `size` is the number of bytes these records take in `data`.

    `stop` is `full` (the most records that were asked for), `end` (no further complete batch),
    `other` (at `cursor` is a batch that is not plain, or of an older format) or `fault` (what is
    at `cursor` cannot be read, `fault` says why; everything before it is in the columns).
    `position` is the offset to fetch next after these records, -1 when nothing was passed.
    """

    offset: IntArray
    at: FloatArray
    values: list[bytes | None] | None
    span: Span | None
    keys: Texts | None
    headers: list[Headers] | None
    size: int
    stop: Stop
    cursor: Cursor
    position: int = -1
    epoch: int = -1
    fault: str = ""

    def __len__(self) -> int:
        return len(self.offset)


Splitter = Callable[[bytes, Cursor, int, int, int, int, bool], Split]


@functools.cache
def best() -> Splitter:
    """The fastest splitter there is here."""
    # Both need this file.
    if fast.available() and not _distrusted.is_set():
        from watchkeeper.daemon.transport import batches_fast

        return batches_fast.split
    from watchkeeper.daemon.transport import batches_arrays

    return batches_arrays.split


def choose_again(compiled: bool = True) -> None:
    """Has `best` look anew what there is; without `compiled` it leaves compiled loops off."""
    if compiled:
        _distrusted.clear()
    else:
        _distrusted.set()
    best.cache_clear()


def plain(head: bytes, records: bytes) -> bytes:
    """A plain batch with the head of a packed one and its records unpacked.

    Its checksum is wrong; that of the packed one holds.
    """
    length = (HEADER_SIZE - _AFTER_LENGTH + len(records)).to_bytes(4, "big")
    attributes = bytes([head[_AFTER_CHECKSUM], head[_AFTER_CHECKSUM + 1] & ~CODEC])
    rest = head[_AFTER_CHECKSUM + 2 : HEADER_SIZE]
    return b"".join((head[:8], length, head[12:_AFTER_CHECKSUM], attributes, rest, records))


def split(
    data: bytes,
    cursor: Cursor,
    end: int,
    most: int,
    floor: int = 0,
    stops: int = PLAIN,
    check: bool = True,
) -> Split:
    """The records of consecutive batches in data[:end], from `cursor` on.

    Batches follow each other as in the answer to a fetch; the last may be cut off. At most `most`
    records are looked at (a later call goes on at `cursor`, if need be in the middle of a batch);
    records with an offset below `floor` are looked at and left off. It stops before a batch that
    has an attribute in `stops`, or is of an older format than 2. With `check` the checksum of
    each batch is verified before its first record is looked at.

    A fault is: a wrong checksum, a newer format, a record that does not end where it says or
    within its batch, offsets that do not rise or that leave their batch, bytes left over after the
    last record. Header names that are no UTF-8 are escaped (`backslashreplace`); headers of more
    than 65,536 bytes are dropped.
    """
    columns = _Columns()
    batch, record, done, delta = cursor
    position = epoch = -1
    stop: Stop = "full"
    fault = ""
    while most > 0:
        if end - batch < HEADER_SIZE:
            stop, fault = remnant(data, batch, end)
            break
        (base, length, epoch_here, magic, checksum, attributes, last, first, newest, count) = (
            HEADER.unpack_from(data, batch)
        )
        limit = batch + _AFTER_LENGTH + length
        if length < 0 or magic != FORMAT or limit > end or limit < batch + HEADER_SIZE:
            stop, fault = remnant(data, batch, end)
            break
        if attributes & stops:
            stop = "other"
            break
        if not record:
            if check and crc32c(memoryview(data)[batch + _AFTER_CHECKSUM : limit]) != checksum:
                stop, fault = "fault", f"the batch at offset {base} has a wrong checksum"
                break
            record = batch + HEADER_SIZE
        epoch = epoch_here
        wanted = min(count - done, most)
        fixed = newest if attributes & APPEND_TIME else None
        before = len(columns.offset)
        record, delta, fault = columns.take(data, record, limit, wanted, base, delta, first, fixed)
        taken = len(columns.offset) - before
        done, most = done + taken, most - taken
        if taken:
            position = base + delta + 1
        if not fault and done >= count:
            fault = _ending(record, limit, delta, last, base)
            if not fault:
                position = base + last + 1
                batch, record, done, delta = limit, 0, 0, -1
                continue
        if fault:
            stop = "fault"
            break
    return columns.split(floor, stop, Cursor(batch, record, done, delta), position, epoch, fault)


def keys_in(data: bytes, start: IntArray, end: IntArray) -> Span | None:
    """Keys as spans, None where no record has any."""
    return Span(data, start, end) if len(start) and start.max() >= 0 else None


def remnant(data: bytes, batch: int, end: int) -> tuple[Stop, str]:
    """Why there is no batch of format 2 at `batch`."""
    if end - batch < _AFTER_LENGTH:
        return "end", ""
    length = int.from_bytes(data[batch + 8 : batch + 12], "big", signed=True)
    if length >= 0 and batch + _AFTER_LENGTH + length > end:
        return "end", ""
    if length < _SMALLEST - _AFTER_LENGTH:
        return "fault", f"a batch of {length} bytes is too small for one"
    if data[batch + MAGIC_AT] < FORMAT:
        return "other", ""
    if data[batch + MAGIC_AT] > FORMAT:
        return "fault", f"batches of format {data[batch + MAGIC_AT]} are not known"
    return "fault", f"a batch of {length} bytes is too small for its head"


def _ending(record: int, limit: int, delta: int, last: int, base: int) -> str:
    """What is wrong with a batch whose records were all taken."""
    if record != limit:
        return f"the batch at offset {base} has {limit - record} bytes left over"
    if delta > last:
        return f"the batch at offset {base} has a record behind its last offset"
    return ""


class _Columns:
    """Columns in the making."""

    __slots__ = ("at", "headers", "keys", "offset", "size", "values")

    def __init__(self) -> None:
        self.offset: list[int] = []
        self.at: list[int] = []
        self.values: list[bytes | None] = []
        self.keys: list[bytes | None] = []
        self.headers: list[Headers] = []
        self.size = 0

    def take(
        self,
        data: bytes,
        p: int,
        limit: int,
        wanted: int,
        base: int,
        delta: int,
        first: int,
        fixed: int | None,
    ) -> tuple[int, int, str]:
        """Takes `wanted` records at `p`; where it got to, the last offset delta, and the fault."""
        begin = start = p
        fault = ""
        try:
            for _ in range(wanted):
                start = p
                size, p = varint(data, p)
                end = p + size
                if size < 0 or end > limit:
                    raise ValueError("it does not end within its batch")
                _, p = varint(data, p)  # attributes, of which there are none
                later, p = varint(data, p)
                number, p = varint(data, p)
                if number <= delta:
                    raise ValueError("its offset is not behind the one before")
                key, p = sized(data, p)
                value, p = sized(data, p)
                headers, p = headers_at(data, p) if data[p] else ((), p + 1)
                if p != end:
                    raise ValueError("it does not end where it says")
                delta = number
                self.offset.append(base + number)
                self.at.append(first + later if fixed is None else fixed)
                self.keys.append(key)
                self.values.append(value)
                self.headers.append(headers)
                start = p
        except (ValueError, IndexError) as error:
            fault = f"a record cannot be read (behind offset {base + delta}): {error}"
        self.size += start - begin
        return start, delta, fault

    def split(
        self, floor: int, stop: Stop, cursor: Cursor, position: int, epoch: int, fault: str
    ) -> Split:
        """The columns without what is below the floor."""
        if self.offset and self.offset[0] < floor:
            self._cut(bisect_left(self.offset, floor))
        stamps = np.array(self.at, dtype=np.float64)
        np.maximum(stamps, 0.0, out=stamps)
        stamps /= 1000
        return Split(
            np.array(self.offset, dtype=np.int64),
            stamps,
            self.values,
            None,
            self.keys if any(key is not None for key in self.keys) else None,
            self.headers if any(self.headers) else None,
            self.size,
            stop,
            cursor,
            position,
            epoch,
            fault,
        )

    def _cut(self, count: int) -> None:
        for column in (self.offset, self.at, self.values, self.keys, self.headers):
            del column[:count]
