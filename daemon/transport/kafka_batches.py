"""Lets kafka-python hand out whole record batches as columns, instead of an object a record.

The fetcher makes a `PartitionRecords` of each answer to a fetch; one of ours takes its place.
Positions, pausing, seeking, rebalancing and fetching stay the library's. That place is private to
the library, so `why_not` tries at the start whether both ways of reading give the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from watchkeeper.daemon.transport.batches import (
    HEADER_SIZE,
    MAGIC_AT,
    PLAIN,
    Cursor,
    Split,
    best,
    plain,
)
from watchkeeper.daemon.transport.ports import Headers, Partition
from watchkeeper.daemon.transport.records import Records
from watchkeeper.daemon.transport.spans import Span, Texts

# What a record costs of a poll's bytes next to its own, so that tiny ones are bounded too.
RECORD_BYTES = 100
_MOST_RECORDS = 5_000
_LARGEST_HEADERS = 65_536
_NO_BOUND = 1 << 62
_LATEST_FORMAT = 2
_READ_COMMITTED = 1


class Taken:
    """Records of a partition in pieces; its length is what they cost of a poll's bytes."""

    def __init__(self) -> None:
        self._pieces: list[Records] = []
        self._cost = 0

    def __len__(self) -> int:
        return self._cost

    def __iter__(self) -> Iterator[Records]:
        return iter(self._pieces)

    def add(self, partition: Partition, piece: Split) -> None:
        """One piece more."""
        self._pieces.append(records_of(partition, piece))
        self._cost += piece.size + RECORD_BYTES * len(piece)


def records_of(partition: Partition, piece: Split) -> Records:
    """The records of one partition."""
    place = np.zeros(len(piece), dtype=np.int32)
    return Records(
        (partition,),
        place,
        piece.offset,
        piece.at,
        piece.values,
        piece.span,
        piece.keys,
        piece.headers,
    )


def records_from(objects: Sequence[Any]) -> Records:
    """The library's own records of one partition, as columns."""
    first = objects[0]
    column = dict(zip(first._fields, zip(*objects, strict=True), strict=True))
    stamps, values, keys = column["timestamp"], column["value"], column["key"]
    # The oldest format has no timestamps.
    at = np.array([each or 0 for each in stamps] if None in stamps else stamps, dtype=np.float64)
    whole = None not in values
    return Records(
        (Partition(first.topic, first.partition),),
        np.zeros(len(objects), dtype=np.int32),
        np.array(column["offset"], dtype=np.int64),
        np.maximum(at, 0.0) / 1000,
        None if whole else list(values),
        Span.of(values) if whole else None,
        _keys(keys),
        _headers(column["headers"], column["serialized_header_size"]),
    )


def _keys(keys: Sequence[bytes | None]) -> Texts | None:
    if None not in keys:
        return Span.of(keys)
    return list(keys) if any(key is not None for key in keys) else None


def _headers(columns: Sequence[Any], sizes: Sequence[int]) -> list[Headers] | None:
    if not any(columns):
        return None
    headers: list[Headers] = [
        tuple(each) if size <= _LARGEST_HEADERS else ()
        for each, size in zip(columns, sizes, strict=True)
    ]
    return headers if any(headers) else None


@functools.cache
def whole_batches() -> Any:
    """The class that takes the place of the library's `Fetcher.PartitionRecords`."""
    from kafka.consumer.fetcher import Fetcher
    from kafka.errors import CorruptRecordError
    from kafka.record import MemoryRecords
    from kafka.record.default_records import DefaultRecordBatch

    class WholeBatches(Fetcher.PartitionRecords):  # type: ignore[misc]
        """One answer to a fetch of one partition; `take` gives columns for so many bytes.

        What cannot be read is raised again at each further `take`, until a seek drops it all.
        """

        next_fetch_offset: int
        leader_epoch: int

        def _unpack_records(self, tp: Any, records: Any, *deserializers: object) -> Any:
            self._data = bytes(records._buffer)
            self._place = Partition(tp.topic, tp.partition)
            self._best = best()
            self._most = 0
            self._broken: Exception | None = None
            self._pieces = self._split()
            return iter(())

        def take(self, n: int | None = None) -> Taken:
            taken = Taken()
            if self._broken is not None:
                raise self._broken
            try:
                self._fill(taken, _NO_BOUND if n is None else n)
            except Exception as error:
                self._broken = error
                if not taken:
                    raise
            return taken

        def _fill(self, taken: Taken, most: int) -> None:
            while len(taken) < most:
                self._most = min(_MOST_RECORDS, (most - len(taken)) // RECORD_BYTES + 1)
                piece = next(self._pieces, None)
                if piece is None:
                    self.drain()
                    return
                if piece.position >= 0:
                    self.next_fetch_offset = max(self.fetch_offset, piece.position)
                self.leader_epoch = piece.epoch if piece.epoch >= 0 else self.leader_epoch
                if len(piece):
                    taken.add(self._place, piece)
                    self.records_read += len(piece)
                    self.bytes_read += piece.size

        def _split(self) -> Iterator[Split]:
            data, cursor = self._data, Cursor(0)
            while True:
                floor = self.fetch_offset
                piece = self._best(
                    data, cursor, len(data), self._most, floor, PLAIN, self.check_crcs
                )
                cursor = piece.cursor
                yield piece
                if piece.stop == "end":
                    return
                if piece.stop == "fault":
                    raise CorruptRecordError(f"{self.topic_partition}: {piece.fault}")
                if piece.stop == "other":
                    if data[cursor.batch + MAGIC_AT] < _LATEST_FORMAT:
                        yield from self._older(data[cursor.batch :])
                        return
                    length = int.from_bytes(data[cursor.batch + 8 : cursor.batch + 12], "big")
                    end = cursor.batch + 12 + length
                    yield from self._special(memoryview(data)[cursor.batch : end])
                    cursor = Cursor(end)

        def _special(self, view: memoryview) -> Iterator[Split]:
            """A batch that is packed, or part of a transaction, or one of its markers."""
            batch = DefaultRecordBatch(view)
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(
                    f"{self.topic_partition}: "
                    f"the batch at offset {batch.base_offset} has a wrong checksum"
                )
            self.leader_epoch = batch.leader_epoch
            if self._dropped(batch):
                self.next_fetch_offset = max(self.fetch_offset, batch.next_offset)
                return
            batch._maybe_uncompress()
            if batch.compression_type:
                payload = plain(bytes(view[:HEADER_SIZE]), batch._buffer)
            else:
                payload = bytes(view)
            cursor, stop = Cursor(0), ""
            while stop != "end":
                piece = self._best(
                    payload, cursor, len(payload), self._most, self.fetch_offset, 0, False
                )
                cursor, stop = piece.cursor, piece.stop
                yield piece
                if stop == "fault":
                    raise CorruptRecordError(f"{self.topic_partition}: {piece.fault}")

        def _dropped(self, batch: Any) -> bool:
            """Whether the batch holds nothing for us: a marker, or what was aborted."""
            if self.isolation_level == _READ_COMMITTED and batch.has_producer_id():
                self._consume_aborted_transactions_up_to(batch.last_offset)
                if self._contains_abort_marker(batch):
                    self.aborted_producer_ids.discard(batch.producer_id)
                elif self._is_batch_aborted(batch):
                    return True
            return bool(batch.is_control_batch)

        def _older(self, data: bytes) -> Iterator[Split]:
            """Batches of the formats before 2, the library's own way."""
            tp = self.topic_partition
            stock = super()._unpack_records(tp, MemoryRecords(data), None, None)
            wanted = (each for each in stock if each.offset >= self.fetch_offset)
            while objects := list(islice(wanted, self._most)):
                yield _as_split(objects, self.next_fetch_offset)

    return WholeBatches


def _as_split(objects: Sequence[Any], position: int) -> Split:
    columns = records_from(objects)
    values = columns.values()
    return Split(
        columns.offset,
        columns.at,
        values,
        None,
        columns.keys,
        columns.headers,
        sum(len(value) for value in values if value is not None),
        "full",
        Cursor(0),
        position,
    )
