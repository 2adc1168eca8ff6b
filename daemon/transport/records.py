"""Records of a poll as columns: no object a record, unless somebody asks for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.transport.ports import Headers, Partition, Record

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
T = TypeVar("T")
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

    def trimmed(self) -> Span:
        """The values in a buffer without what is before the first and behind the last."""
        there = self.start >= 0
        first = int(self.start.min(initial=len(self.buffer), where=there))
        last = int(self.end.max(initial=first, where=there))
        start = np.where(there, self.start - first, self.start)
        return Span(self.buffer[first:last], start, self.end - first)

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Span:
        """The values in a buffer of their own."""
        lengths = np.fromiter(
            (0 if value is None else len(value) for value in values), np.int64, len(values)
        )
        end = np.cumsum(lengths)
        start = end - lengths
        start[[value is None for value in values]] = -1
        return cls(b"".join(value or b"" for value in values), start, end)


class Records(Sequence[Record]):
    """Records in the order in which they are to be worked off, column by column.

    `places` are the partitions, `place` each record's number in them; `offset`, and `at` in
    seconds since the epoch. `keys` and `headers` are None where no record has any. Values are
    held as a list of bytes, or as spans of a buffer, and each form is made from the other when it
    is first asked for.
    """

    __slots__ = ("_span", "_values", "at", "headers", "keys", "offset", "place", "places")

    def __init__(
        self,
        places: tuple[Partition, ...],
        place: Places,
        offset: IntArray,
        at: FloatArray,
        values: list[bytes | None] | None = None,
        span: Span | None = None,
        keys: list[bytes | None] | None = None,
        headers: list[Headers] | None = None,
    ) -> None:
        if values is None and span is None:
            raise ValueError("records without values")
        self.places, self.place = places, place
        self.offset, self.at = offset, at
        self.keys, self.headers = keys, headers
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
            None if self.keys is None else self.keys[index],
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
        chosen = rows if isinstance(rows, slice) else _numbers(rows)
        return Records(
            self.places,
            self.place[rows],
            self.offset[rows],
            self.at[rows],
            _chosen(self._values, chosen),
            None if self._span is None else self._span.take(rows),
            _chosen(self.keys, chosen),
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
        buffered = bool(parts) and all(part.in_buffer for part in parts)
        return cls(
            places,
            np.concatenate([c[p.place] for c, p in zip(codes, parts, strict=True)]).astype(
                np.int32
            ),
            np.concatenate([part.offset for part in parts]).astype(np.int64),
            np.concatenate([part.at for part in parts]),
            None if buffered else [value for part in parts for value in part.values()],
            _joined_spans([part.span() for part in parts]) if buffered else None,
            _joined([(part.keys, len(part)) for part in parts], None),
            _joined([(part.headers, len(part)) for part in parts], ()),
        )


def _numbers(rows: IntArray | npt.NDArray[np.bool_]) -> list[int]:
    numbers: list[int] = (np.flatnonzero(rows) if rows.dtype == np.bool_ else rows).tolist()
    return numbers


def _chosen(column: list[T] | None, rows: slice | list[int]) -> list[T] | None:
    if column is None:
        return None
    return column[rows] if isinstance(rows, slice) else [column[i] for i in rows]


def _joined_spans(spans: Sequence[Span]) -> Span:
    """The spans in one buffer: the same one, or a new one of the parts that are needed."""
    if all(span.buffer is spans[0].buffer for span in spans):
        starts, ends = [span.start for span in spans], [span.end for span in spans]
        return Span(spans[0].buffer, np.concatenate(starts), np.concatenate(ends))
    shift, starts, ends = 0, [], []
    parts = [span.trimmed() for span in spans]
    for part in parts:
        starts.append(np.where(part.start < 0, part.start, part.start + shift))
        ends.append(part.end + shift)
        shift += len(part.buffer)
    buffer = b"".join(part.buffer for part in parts)
    return Span(buffer, np.concatenate(starts), np.concatenate(ends))


def _joined(parts: Sequence[tuple[list[T] | None, int]], nothing: T) -> list[T] | None:
    if all(part is None for part, _ in parts):
        return None
    return [each for part, n in parts for each in (part if part is not None else [nothing] * n)]
