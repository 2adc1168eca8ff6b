"""Record batches drawn by chance, with whatever the format allows, and what is in them."""

from __future__ import annotations

import struct
from typing import NamedTuple

from crc32c import crc32c
from hypothesis import strategies as st

from tests.daemon.transport.crafted import NONE, PACK, varint
from watchkeeper.daemon.transport.ports import Headers

APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20
BEGIN = 1_767_225_600_000


class Row(NamedTuple):
    """One record; `delta` and `later` are next to its batch's base offset and first timestamp."""

    delta: int
    later: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Batch(NamedTuple):
    """One batch. Its last offset may be behind its last record, as after compaction."""

    rows: list[Row]
    base: int
    last: int
    codec: int = NONE
    flags: int = 0
    producer: int = -1
    first: int = BEGIN
    newest: int = BEGIN + 5

    def encoded(self) -> bytes:
        """As a broker holds it."""
        records = b"".join(_record(row) for row in self.rows)
        after = struct.pack(
            ">hiqqqhii",
            self.codec | self.flags,
            self.last,
            self.first,
            self.newest,
            self.producer,
            -1 if self.producer < 0 else 0,
            -1,
            len(self.rows),
        ) + PACK[self.codec](records)
        head = struct.pack(">iBI", 7, 2, crc32c(after))
        return struct.pack(">qi", self.base, len(head) + len(after)) + head + after

    def found(self) -> list[tuple[int, float, bytes | None, bytes | None, Headers]]:
        """The records as they are to be read."""
        at = [self.newest if self.flags & APPEND_TIME else self.first + r.later for r in self.rows]
        return [
            (self.base + row.delta, max(when, 0) / 1000, row.key, row.value, row.headers)
            for row, when in zip(self.rows, at, strict=True)
        ]


def _sized(value: bytes | None) -> bytes:
    return varint(-1) if value is None else varint(len(value)) + value


def _record(row: Row) -> bytes:
    body = b"\0" + varint(row.later) + varint(row.delta) + _sized(row.key) + _sized(row.value)
    body += varint(len(row.headers))
    for name, text in row.headers:
        body += _sized(name.encode()) + _sized(text)
    return varint(len(body)) + body


def marker(base: int, producer: int, commit: bool) -> Batch:
    """The end of a transaction."""
    row = Row(0, 0, struct.pack(">hh", 0, int(commit)), struct.pack(">hi", 0, 0), ())
    return Batch([row], base, 0, flags=TRANSACTIONAL | CONTROL, producer=producer)


# One varint byte is enough below 64, two below 8,192.
_sizes = st.sampled_from([0, 1, 5, 63, 64, 65, 400, 8_191, 8_192])
_bytes = st.builds(lambda n, c: bytes([c]) * n, _sizes, st.integers(0, 255))
_maybe = st.none() | _bytes
_headers = st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=3)), max_size=2)
_later = st.sampled_from([0, 1, -1, 63, 64, 8_191, 8_192, -9_000, 1 << 21, 1 << 40, -BEGIN - 7])
_gap = st.sampled_from([1, 1, 1, 1, 2, 70, 10_000])


@st.composite
def rows(draw: st.DrawFn, most: int = 12) -> list[Row]:
    """The records of a batch."""
    plain = draw(st.booleans())
    delta, found = -1, []
    for _ in range(draw(st.integers(0, most))):
        delta += 1 if plain else draw(_gap)
        headers = () if plain else tuple(draw(_headers))
        key = b"key" if plain else draw(_maybe)
        found.append(Row(delta, draw(_later), key, draw(_maybe), headers))
    return found


@st.composite
def plain_batches(draw: st.DrawFn) -> list[Batch]:
    """Batches that follow each other, none of them packed or of a transaction."""
    found, base = [], draw(st.integers(0, 1 << 40))
    for _ in range(draw(st.integers(1, 6))):
        given = draw(rows())
        last = (given[-1].delta if given else 0) + draw(st.sampled_from([0, 0, 3]))
        flags = draw(st.sampled_from([0, 0, APPEND_TIME]))
        first = draw(st.sampled_from([BEGIN, BEGIN, -1, 0, -(1 << 63)]))
        found.append(Batch(given, base, last, flags=flags, first=first))
        base += last + 1 + draw(st.sampled_from([0, 0, 50]))
    return found


@st.composite
def lasts_before_batches(draw: st.DrawFn) -> list[Batch]:
    """As `plain_batches`, but batches without records may say that they end before they begin."""
    found = draw(plain_batches())
    early = st.sampled_from([0, -1, -2, -7, -(1 << 31)])
    return [each if each.rows else each._replace(last=draw(early)) for each in found]


@st.composite
def fetches(draw: st.DrawFn) -> tuple[list[Batch], list[tuple[int, int]]]:
    """Batches of all codecs and of transactions, and the aborted ones: producer, first offset."""
    found: list[Batch] = []
    aborted: list[tuple[int, int]] = []
    base = draw(st.integers(0, 1_000))
    going: dict[int, int] = {}
    for _ in range(draw(st.integers(1, 8))):
        given = draw(rows(6))
        last = (given[-1].delta if given else 0) + draw(st.sampled_from([0, 0, 3]))
        producer = draw(st.sampled_from([-1, -1, 5, 6]))
        flags = TRANSACTIONAL if producer >= 0 and draw(st.booleans()) else 0
        codec = draw(st.sampled_from([0, 0, 1, 2, 3, 4]))
        found.append(Batch(given, base, last, codec, flags, producer))
        if flags:
            going.setdefault(producer, base)
        base += last + 1
        ends, commit = draw(st.booleans()), draw(st.booleans())
        if going and ends:
            producer, first = going.popitem()
            if not commit:
                aborted.append((producer, first))
            found.append(marker(base, producer, commit))
            base += 1
    return found, aborted
