"""Records of a poll as columns: no object a record, unless somebody asks for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeGuard, TypeVar, overload

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.transport.ports import Headers, Partition, Record

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
T = TypeVar("T")
_SMALL = 65_536
Rows = IntArray | npt.NDArray[np.bool_] | slice


class Span:
    """Values of records in one buffer: record i's value is buffer[start[i]:end[i]], none where
    start[i] is negative."""

    __slots__ = ("buffer", "end", "start")

    def __init__(self, buffer: bytes, start: IntArray, end: IntArray) -> None:
        self.buffer, self.start, self.end = buffer, start, end

    def values(self) -> list[bytes | None]:
        """Each value as bytes of its own."""
        whole = self.buffer
        pairs = zip(self.start.tolist(), self.end.tolist(), strict=True)
        return [whole[start:end] if start >= 0 else None for start, end in pairs]

    def take(self, rows: Rows) -> Span:
        """The chosen records' values, in the same buffer."""
        return Span(self.buffer, self.start[rows], self.end[rows])

    def shifted(self, by: int, buffer: bytes) -> Span:
        """The values in another buffer, in which they stand so much further on."""
        start, end = self.start + by, self.end + by
        if (self.start < 0).any():
            start[self.start < 0] = -1
        return Span(buffer, start, end)

    def size(self) -> int:
        """The bytes of all values."""
        sizes = self.end - self.start
        return int(sizes.sum(where=self.start >= 0))

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Span:
        """The values in a buffer of their own."""
        try:
            lengths = np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]
            end = np.cumsum(lengths)
            return cls(b"".join(values), end - lengths, end)  # type: ignore[arg-type]
        except TypeError:
            pass  # some are None
        lengths = np.array([len(value or b"") for value in values], dtype=np.int64)
        end = np.cumsum(lengths)
        start = end - lengths
        start[[value is None for value in values]] = -1
        return cls(b"".join([value or b"" for value in values]), start, end)


Texts = list[bytes | None] | Span


class Records(Sequence[Record]):
    """Records in the order in which they are to be worked off, column by column.

    `places` are the partitions, `place` each record's number in them; `offset`, and `at` in
    seconds since the epoch. `keys` and `headers` are None where no record has any. Values and keys
    are held as a list of bytes, or as spans of a buffer, and each form is made from the other when
    it is first asked for.
    """

    __slots__ = ("_keys", "_span", "_values", "at", "headers", "offset", "place", "places")

    def __init__(
        self,
        places: tuple[Partition, ...],
        place: Places,
        offset: IntArray,
        at: FloatArray,
        values: list[bytes | None] | None = None,
        span: Span | None = None,
        keys: Texts | None = None,
        headers: list[Headers] | None = None,
    ) -> None:
        if values is None and span is None:
            raise ValueError("records without values")
        self.places, self.place = places, place
        self.offset, self.at = offset, at
        self._keys, self.headers = keys, headers
        self._values, self._span = values, span

    def __len__(self) -> int:
        return len(self.offset)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        if isinstance(index, slice):
            return self.take(index)
        topic, number = self.places[self.place[index]]
        return Record(
            topic,
            number,
            int(self.offset[index]),
            float(self.at[index]),
            self.key(index),
            self.value(index),
            () if self.headers is None else self.headers[index],
        )

    def __iter__(self) -> Iterator[Record]:
        return (self[i] for i in range(len(self)))

    def value(self, index: int) -> bytes | None:
        """One record's value."""
        if self._values is not None:
            return self._values[index]
        span = self.span()
        start = int(span.start[index])
        return span.buffer[start : int(span.end[index])] if start >= 0 else None

    def key(self, index: int) -> bytes | None:
        """One record's key."""
        keys = self._keys
        if not isinstance(keys, Span):
            return None if keys is None else keys[index]
        start = int(keys.start[index])
        return keys.buffer[start : int(keys.end[index])] if start >= 0 else None

    @property
    def keys(self) -> list[bytes | None] | None:
        """All keys."""
        if isinstance(self._keys, Span):
            self._keys = self._keys.values()
        return self._keys

    def size(self) -> int:
        """The bytes of values, keys and headers, and a little for each header."""
        size = self.span().size() if self.in_buffer else sum(map(len, filter(None, self.values())))
        if isinstance(self._keys, Span):
            size += self._keys.size()
        elif self._keys is not None:
            size += sum(map(len, filter(None, self._keys)))
        if self.headers is not None:
            size += sum(len(text or b"") + 100 for each in self.headers for _, text in each)
        return size

    def compact(self) -> Records:
        """The records without a buffer that is four times what they need of it."""
        if self._span is None or not len(self):
            return self
        buffer = self._span.buffer
        if len(buffer) < _SMALL or 4 * self.size() >= len(buffer):
            return self
        span, keys = _joined_spans([self])
        return Records(
            self.places, self.place, self.offset, self.at, None, span, keys, self.headers
        )

    def values(self) -> list[bytes | None]:
        """All values."""
        if self._values is None:
            self._values = self.span().values()
        return self._values

    def span(self) -> Span:
        """All values as spans of one buffer."""
        if self._span is None:
            self._span = Span.of(self.values())
        return self._span

    @property
    def in_buffer(self) -> bool:
        """Whether the values came as spans of a buffer."""
        return self._span is not None

    def of_places(self, wanted: Collection[Partition]) -> Records:
        """Those of some partitions."""
        mine = np.array([place in wanted for place in self.places], dtype=np.bool_)
        return self if mine.all() else self.take(mine[self.place])

    def counts(self) -> dict[Partition, int]:
        """How many there are of each partition that has any."""
        numbers = np.bincount(self.place, minlength=len(self.places)).tolist()
        return {place: n for place, n in zip(self.places, numbers, strict=True) if n}

    def ends(self) -> dict[Partition, int]:
        """The highest offset of each partition that has any."""
        highest = np.full(len(self.places), -1, dtype=np.int64)
        np.maximum.at(highest, self.place, self.offset)
        found = zip(self.places, highest.tolist(), strict=True)
        return {place: offset for place, offset in found if offset >= 0}

    def take(self, rows: Rows) -> Records:
        """The chosen records, in the order in which they are chosen."""
        lists = (self._values, self._keys, self.headers)
        listed = any(isinstance(column, list) for column in lists)
        chosen = rows if isinstance(rows, slice) else _numbers(rows) if listed else []
        keys = self._keys
        return Records(
            self.places,
            self.place[rows],
            self.offset[rows],
            self.at[rows],
            _chosen(self._values, chosen),
            None if self._span is None else self._span.take(rows),
            keys.take(rows) if isinstance(keys, Span) else _chosen(keys, chosen),
            _chosen(self.headers, chosen),
        )

    @classmethod
    def of(cls, records: Iterable[Record]) -> Records:
        """Record objects as columns."""
        given = list(records)
        places = tuple(dict.fromkeys(Partition(r.topic, r.partition) for r in given))
        number = {place: i for i, place in enumerate(places)}
        return cls(
            places,
            np.array([number[r.topic, r.partition] for r in given], dtype=np.int32),  # type: ignore[index]
            np.array([r.offset for r in given], dtype=np.int64),
            np.array([r.at for r in given], dtype=np.float64),
            [r.value for r in given],
            None,
            [r.key for r in given] if any(r.key is not None for r in given) else None,
            [r.headers for r in given] if any(r.headers for r in given) else None,
        )

    @classmethod
    def joined(cls, parts: Sequence[Records]) -> Records:
        """Records one part after the other."""
        if len(parts) < 2:
            return parts[0] if parts else cls.of([])
        places = tuple(dict.fromkeys(place for part in parts for place in part.places))
        number = {place: i for i, place in enumerate(places)}
        codes = [np.array([number[p] for p in part.places], dtype=np.int32) for part in parts]
        buffered = all(part.in_buffer for part in parts)
        span, keys = _joined_spans(parts) if buffered else (None, _joined_keys(parts))
        return cls(
            places,
            np.concatenate([c[p.place] for c, p in zip(codes, parts, strict=True)]).astype(
                np.int32
            ),
            np.concatenate([part.offset for part in parts]).astype(np.int64),
            np.concatenate([part.at for part in parts]),
            None if buffered else [value for part in parts for value in part.values()],
            span,
            keys,
            _joined([(part.headers, len(part)) for part in parts], ()),
        )


def _numbers(rows: IntArray | npt.NDArray[np.bool_]) -> list[int]:
    numbers: list[int] = (np.flatnonzero(rows) if rows.dtype == np.bool_ else rows).tolist()
    return numbers


def _chosen(column: list[T] | None, rows: slice | list[int]) -> list[T] | None:
    if column is None:
        return None
    return column[rows] if isinstance(rows, slice) else [column[i] for i in rows]


def _joined_spans(parts: Sequence[Records]) -> tuple[Span, Texts | None]:
    """The values and keys of records that stand in buffers."""
    spans, keys = [part.span() for part in parts], [part._keys for part in parts]
    beside = [key for key, span in zip(keys, spans, strict=True) if _beside(key, span)]
    if len(beside) == len(parts):
        span, joined = _packed([spans, beside])
        return span, joined
    return _packed([spans])[0], _joined_keys(parts)


def _beside(keys: Texts | None, span: Span) -> TypeGuard[Span]:
    """Whether keys stand in the buffer of the values."""
    return isinstance(keys, Span) and keys.buffer is span.buffer


def _joined_keys(parts: Sequence[Records]) -> Texts | None:
    spans = [part._keys for part in parts if isinstance(part._keys, Span)]
    if len(spans) == len(parts):
        return _packed([spans])[0]
    return _joined([(part.keys, len(part)) for part in parts], None)


def _packed(columns: Sequence[Sequence[Span]]) -> list[Span]:
    """Columns of spans, of which those of one part are in one buffer, in one for all: the same
    one, or a new one of what is needed of each."""
    buffers = [span.buffer for span in columns[0]]
    if len(buffers) > 1 and all(buffer is buffers[0] for buffer in buffers):
        starts = [np.concatenate([span.start for span in column]) for column in columns]
        ends = [np.concatenate([span.end for span in column]) for column in columns]
        return [Span(buffers[0], a, b) for a, b in zip(starts, ends, strict=True)]
    shift, needed, shifts = 0, [], []
    for part in zip(*columns, strict=True):
        first, last = _bounds(part)
        needed.append(memoryview(part[0].buffer)[first:last])
        shifts.append(shift - first)
        shift += last - first
    buffer, packed = b"".join(needed), []
    for column in columns:
        moved = [span.shifted(by, buffer) for span, by in zip(column, shifts, strict=True)]
        start = np.concatenate([span.start for span in moved])
        packed.append(Span(buffer, start, np.concatenate([span.end for span in moved])))
    return packed


def _bounds(spans: Sequence[Span]) -> tuple[int, int]:
    """Where the first of the values of some columns begins in their buffer, and the last ends."""
    first, last = len(spans[0].buffer), 0
    for span in spans:
        there = span.start >= 0
        first = int(span.start.min(initial=first, where=there))
        last = int(span.end.max(initial=last, where=there))
    return first, max(first, last)


def _joined(parts: Sequence[tuple[list[T] | None, int]], nothing: T) -> list[T] | None:
    if all(part is None for part, _ in parts):
        return None
    return [each for part, n in parts for each in (part if part is not None else [nothing] * n)]
