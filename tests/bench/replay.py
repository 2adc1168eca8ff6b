"""Endless logs of record batches: encoded once, and written anew in place for each fetch."""

from __future__ import annotations

import functools
import struct
import threading
import time
from typing import Any, Protocol

import crc32c
import numpy as np
import numpy.typing as npt
from kafka.record.memory_records import MemoryRecordsBuilder

from tests.bench.traffic import (
    BATCHES,
    SOME_ID,
    SOME_MODEL,
    Shape,
    model_of,
    pairs,
)
from watchkeeper.detectors.types import moment

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

ENDLESS = 1 << 40
LINGER_US = 2_000
KEPT = 1_024  # written batches that are kept, since several processes read the same ones
HEAD = 61  # bytes of a batch before its records
_CRC_AT, _ATTRIBUTES_AT, _FIRST_AT, _LAST_AT = 17, 21, 27, 35
_DIGITS = "{:04d}".format
_FOUR = np.array([[ord(c) for c in _DIGITS(n)] for n in range(10_000)], dtype=np.uint8)
_TWO = _FOUR[:100, 2:]
_ID, _TIME = SOME_ID.encode(), b"2026-01-01T00:00:00.123456"
_MODEL = SOME_MODEL.encode()


class Log(Protocol):
    """One partition of a topic."""

    def end(self) -> int:
        """The offset that the next record will get."""

    def read(self, offset: int, most: int, at_least_one: bool) -> bytes:
        """Whole batches from the one that holds `offset` on, of at most `most` bytes."""


class Empty:
    """A partition that nothing is ever written to."""

    def end(self) -> int:
        return 0

    def read(self, offset: int, most: int, at_least_one: bool) -> bytes:
        return b""


def encoded(rows: list[tuple[int, bytes, bytes]]) -> bytes:
    """One uncompressed batch of (milliseconds, key, value)."""
    size = sum(len(value) for _, _, value in rows) + 100 * len(rows) + 1_000
    builder = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=size)
    for at, key, value in rows:
        if builder.append(timestamp=at, key=key, value=value, headers=[]) is None:
            raise ValueError("a record does not fit into its batch")
    builder.close()
    return bytes(builder.buffer())


class Template:
    """One batch, and where its digits are."""

    def __init__(self, rows: list[tuple[int, bytes, bytes]], named: tuple[bytes, ...]) -> None:
        self.plain = np.frombuffer(encoded(rows), dtype=np.uint8)
        whole = self.plain.tobytes()
        places, at = [], HEAD
        for _, key, value in rows:
            body = whole.index(value, at)
            digits = [body + value.index(name + _ID) + len(name) for name in named]
            moment_at = body + value.index(_TIME)
            model_at = body + value.index(_MODEL) + len(_MODEL) - 5
            key_at = whole.rindex(key, at, body) + len(key) - 5
            places.append(_places(digits, moment_at, model_at, key_at))
            at = body + len(value)
        self.places: Ints = np.array(places, dtype=np.int64)

    def written(self, base: int, events: Ints, at_us: Ints, models: Ints) -> bytearray:
        """The batch as it stands at offset `base`, uncompressed; `at_us` since the epoch."""
        batch = self.plain.copy()
        number = _digits(events, 3)
        copies = (self.places.shape[1] - _MOMENT.size - 10) // 12
        digits = [*[number] * copies, _moments(at_us), *[_digits(models, 2)[:, 3:]] * 2]
        batch[self.places] = np.concatenate(digits, axis=1)
        made = bytearray(batch.tobytes())
        struct.pack_into(">q", made, 0, base)
        span = struct.unpack_from(">qq", made, _FIRST_AT)
        first = int(at_us[0]) // 1_000
        struct.pack_into(">qq", made, _FIRST_AT, first, first + span[1] - span[0])
        return made


_MOMENT = np.array([0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 22, 23, 24, 25])


def _places(digits: list[int], moment_at: int, model_at: int, key_at: int) -> list[int]:
    places = [at + i for at in digits for i in range(12)]
    places += (moment_at + _MOMENT).tolist()
    return places + [at + i for at in (model_at, key_at) for i in range(5)]


def _digits(numbers: Ints, fours: int) -> Bytes:
    powers = [10_000**i for i in range(fours)][::-1]
    parts = [_FOUR[numbers // power % 10_000] for power in powers]
    return np.concatenate(parts, axis=1)


def _moments(at_us: Ints) -> Bytes:
    """The digits of times as they are written in RFC 3339."""
    seconds, us = np.divmod(at_us, 1_000_000)
    minutes, second = np.divmod(seconds, 60)
    hours, minute = np.divmod(minutes, 60)
    days, hour = np.divmod(hours, 24)
    date = np.array([_day(each) for each in days.tolist()], dtype=np.uint8)
    parts = [hour, minute, second, us // 10_000, us // 100 % 100, us % 100]
    return np.concatenate([date, *(_TWO[part] for part in parts)], axis=1)


@functools.lru_cache(maxsize=100)
def _day(day: int) -> list[int]:
    return list(f"{moment(day * 86_400.0):%Y%m%d}".encode())


def sealed(batch: bytearray, codec: int) -> bytes:
    """The batch with its records compressed, and its checksum."""
    if codec:
        from kafka import codec as codecs

        pack = (codecs.gzip_encode, codecs.snappy_encode, codecs.lz4_encode, codecs.zstd_encode)
        packed = pack[codec - 1](bytes(batch[HEAD:]))
        batch = batch[:HEAD] + bytearray(packed)
        struct.pack_into(">h", batch, _ATTRIBUTES_AT, codec)
        struct.pack_into(">i", batch, 8, len(batch) - 12)
    with memoryview(batch) as whole:
        crc = crc32c.crc32c(whole[_ATTRIBUTES_AT:])
    struct.pack_into(">I", batch, _CRC_AT, crc)
    return bytes(batch)


class Stream:
    """Predictions and labels of one shape, for all partitions."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._lock = threading.Lock()
        self._templates: dict[tuple[bool, bool, int], list[Template]] = {}
        self._batch = functools.lru_cache(maxsize=KEPT)(self._written)

    def batch(self, labels: bool, partition: int, number: int) -> bytes:
        """One batch of a partition, ready to be sent."""
        return self._batch(labels, partition, number)

    def _written(self, labels: bool, partition: int, number: int) -> bytes:
        shape = self.shape
        base = number * shape.batch
        events = (base + np.arange(shape.batch)) * shape.partitions + partition
        first_fault = shape.fault_from
        fault = first_fault is not None and int(events[0]) >= first_fault
        template = self._of(fault, labels, partition)[number % BATCHES]
        at_us = shape.begin * 1_000_000 + events * shape.spacing_us
        if labels:
            at_us += shape.labels_after_s * 1_000_000
        made = template.written(base, events, at_us, model_of(shape, events))
        return sealed(made, shape.codec)

    def _of(self, fault: bool, labels: bool, partition: int) -> list[Template]:
        with self._lock:
            if (fault, labels, partition) not in self._templates:
                self._make(fault, partition)
            return self._templates[fault, labels, partition]

    def _make(self, fault: bool, partition: int) -> None:
        shape = self.shape
        size, step = shape.batch, shape.partitions * shape.spacing_us
        given = list(pairs(size * BATCHES, 1 + partition, fault))
        for labels in (False, True):
            named = (b'"l', b'"r') if labels else (b'"p', b'"r')
            made = []
            for start in range(0, len(given), size):
                part = enumerate(given[start : start + size])
                rows = [(i * step // 1_000, _MODEL, pair[labels]) for i, pair in part]
                made.append(Template(rows, named))
            self._templates[fault, labels, partition] = made


class Replay:
    """One partition of one stream's topic: it has no end."""

    def __init__(self, stream: Stream, labels: bool, partition: int) -> None:
        self._stream, self._labels, self._partition = stream, labels, partition

    def end(self) -> int:
        return ENDLESS

    def read(self, offset: int, most: int, at_least_one: bool) -> bytes:
        number, size = offset // self._stream.shape.batch, 0
        found: list[bytes] = []
        while True:
            batch = self._stream.batch(self._labels, self._partition, number)
            if size + len(batch) > most and (found or not at_least_one):
                return b"".join(found)
            found.append(batch)
            size += len(batch)
            number += 1


class Live:
    """A partition that is written to as time passes: event i at `begin` + i * `spacing_us`.

    Its appends are what a producer with a linger of 2 ms sends, made before they are due; the
    events are dated when they were. `grown` is told of each.
    """

    def __init__(self, shape: Shape, grown: threading.Condition) -> None:
        self.shape = shape
        self._grown = grown
        self._batches: list[tuple[int, bytes]] = []
        self._end = 0
        self._templates = _lingered(shape.spacing_us)

    def produce(self, begin: float, seconds: float) -> None:
        """Writes until the time is over; `begin` on the wall clock, in whole milliseconds."""
        wait, began_us = threading.Event(), round(begin * 1e6)
        size = _lingering(self.shape.spacing_us)
        for number in range(int(seconds * 1e6) // (size * self.shape.spacing_us)):
            due = begin + (number * size * self.shape.spacing_us + LINGER_US) / 1e6
            wait.wait(max(due - LINGER_US / 2e6 - time.time(), 0.0))  # who asks is answered first
            batch = self._written(number, began_us)
            while (left := due - time.time()) > 0:
                wait.wait(left)
            with self._grown:
                self._batches.append((number * size, batch))
                self._end = (number + 1) * size
                self._grown.notify_all()

    def _written(self, number: int, began_us: int) -> bytes:
        size = _lingering(self.shape.spacing_us)
        events = number * size + np.arange(size, dtype=np.int64)
        at_us = began_us + events * self.shape.spacing_us
        template = self._templates[number % len(self._templates)]
        models = model_of(self.shape, events)
        return sealed(template.written(int(events[0]), events, at_us, models), 0)

    def end(self) -> int:
        return self._end

    def read(self, offset: int, most: int, at_least_one: bool) -> bytes:
        found: list[bytes] = []
        size = 0
        place = max(_place(self._batches, offset), 0)
        for _, batch in self._batches[place : place + 1_000] if offset < self._end else ():
            if size + len(batch) > most and (found or not at_least_one):
                break
            found.append(batch)
            size += len(batch)
        return b"".join(found)


def _lingering(spacing_us: int) -> int:
    """How many events a producer sends at once. Raises ValueError where they do not begin on whole
    milliseconds."""
    size = max(LINGER_US // spacing_us, 1)
    if size * spacing_us % 1_000:
        raise ValueError(f"events {spacing_us} µs apart do not begin on whole milliseconds")
    return size


@functools.cache
def _lingered(spacing_us: int) -> list[Template]:
    """What a producer sends, of 4,000 predictions that come again."""
    size, given = _lingering(spacing_us), [pair[0] for pair in pairs(4_000, 5)]
    made = []
    for start in range(0, len(given) // size * size, size):
        part = enumerate(given[start : start + size])
        rows = [(i * spacing_us // 1_000, _MODEL, value) for i, value in part]
        made.append(Template(rows, (b'"p', b'"r')))
    return made


def _place(batches: list[tuple[int, Any]], offset: int) -> int:
    """The number of the batch that holds the offset."""
    low, high = 0, len(batches)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if batches[middle][0] <= offset else (low, middle)
    return low - 1
