"""One answer to a fetch, taken as whole batches: imported where kafka-python is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatch

from watchkeeper.daemon.transport.batches import (
    HEADER_SIZE,
    MAGIC_AT,
    PLAIN,
    Cursor,
    Split,
    best,
    plain,
)
from watchkeeper.daemon.transport.kafka_batches import RECORD_BYTES, Taken, records_from
from watchkeeper.daemon.transport.ports import Partition

_MOST_RECORDS = 5_000
_NO_BOUND = 1 << 62
_LATEST_FORMAT = 2
_READ_COMMITTED = 1


class WholeBatches(Fetcher.PartitionRecords):  # type: ignore[misc]
    """One answer to a fetch of one partition; `take` gives columns for so many bytes.

    What cannot be read is raised again at each further `take`, until a seek drops it all.
    """

    next_fetch_offset: int
    leader_epoch: int
    data: bytes
    begun: int  # the byte where the batch begins that is being read

    def _unpack_records(self, tp: Any, records: Any, *deserializers: object) -> Any:
        self.data, self.begun = bytes(records._buffer), 0
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
        data, cursor = self.data, Cursor(0)
        while True:
            floor = self.fetch_offset
            piece = self._best(data, cursor, len(data), self._most, floor, PLAIN, self.check_crcs)
            cursor = piece.cursor
            self.begun = cursor.batch
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
