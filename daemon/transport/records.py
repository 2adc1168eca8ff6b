"""Records of a poll as columns: no object a record, unless somebody asks for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeGuard, TypeVar, overload

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.transport.ports import Headers, Partition, Record
from watchkeeper.daemon.transport.spans import Rows, Span, Texts, packed
from watchkeeper.detectors.frames import FloatArray, IntArray

Places = npt.NDArray[np.int32]
T = TypeVar("T")
_SMALL = 65_536


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
        span, joined = packed([spans, beside])
        return span, joined
    return packed([spans])[0], _joined_keys(parts)


def _beside(keys: Texts | None, span: Span) -> TypeGuard[Span]:
    """Whether keys stand in the buffer of the values."""
    return isinstance(keys, Span) and keys.buffer is span.buffer


def _joined_keys(parts: Sequence[Records]) -> Texts | None:
    spans = [part._keys for part in parts if isinstance(part._keys, Span)]
    if len(spans) == len(parts):
        return packed([spans])[0]
    return _joined([(part.keys, len(part)) for part in parts], None)


def _joined(parts: Sequence[tuple[list[T] | None, int]], nothing: T) -> list[T] | None:
    if all(part is None for part, _ in parts):
        return None
    return [each for part, n in parts for each in (part if part is not None else [nothing] * n)]
