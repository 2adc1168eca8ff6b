"""Finds where a partition can be read again after records that no client can read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from watchkeeper.daemon.transport.kafka_client import connected
from watchkeeper.daemon.transport.kafka_reading import hook, way
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.settings import KafkaSettings

if TYPE_CHECKING:
    from watchkeeper.daemon.transport.kafka_answers import Answer

_PATIENCE_S = 10.0


class QuarantinedRange(msgspec.Struct, frozen=True):
    """The records [start, end) of a partition were passed over because they cannot be read.
    `topic_id` is there where the brokers tell it."""

    topic: str
    partition: int
    start: int
    end: int
    reason: str
    topic_id: str = ""


class Fault(NamedTuple):
    """Why a batch cannot be read, by which bytes it is known again, and where it ends by what it
    says itself. Nothing of it but the reason may be known."""

    reason: str
    head: bytes
    end: int | None


def behind(first: Fault, start: int, last: int, look: Callable[[int], Fault | None]) -> int:
    """The offset behind the batch at `start` that cannot be read, in a partition that ends at
    `last`; `look` gives what is wrong at an offset.

    A broker gives one and the same batch for all offsets in it, and for no other behind one where
    it gives something else: so whatever it gives other batches for is not passed over, readable or
    not. What a batch says of its own end only spares the search.
    """

    def same(offset: int) -> bool:
        found = look(offset) if offset > start else first
        return found is not None and found.head == first.head

    if not first.head:
        return start + 1
    if first.end is not None and start < first.end <= last and same(first.end - 1):
        return first.end
    inside, outside = start, start + 1
    while outside < last and same(outside):
        inside, outside = outside, outside + 2 * (outside - start)
    outside = max(min(outside, last), start + 1)
    while outside - inside > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if same(middle) else (inside, middle)
    return outside


class Prober:
    """Tries to read at single offsets, with a consumer of its own and without a group.

    A consumer that met a record it cannot read may hang in its next poll, so it is thrown away.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: Any = None
        self._answer: Answer | None = None

    def unreadable(self, partition: Partition, start: int) -> QuarantinedRange | None:
        """The range at `start` that cannot be read; None where there is nothing wrong."""
        first = self._fault(partition, start)
        if first is None:
            return None
        last = self._end(partition)
        end = behind(first, start, last, lambda offset: self._fault(partition, offset))
        return QuarantinedRange(partition.topic, partition.number, start, end, first.reason)

    def close(self) -> None:
        """Frees the consumer."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=2_000)
            self._consumer = None

    def _fault(self, partition: Partition, offset: int) -> Fault | None:
        """Why the record at `offset`, or the next one there is, cannot be read."""
        from kafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

        self._answer = None
        consumer, spot = self._at(partition, offset)
        deadline = time.monotonic() + _PATIENCE_S
        try:
            while time.monotonic() < deadline:
                if consumer.poll(timeout_ms=200, max_records=1):
                    return None
                end = consumer.highwater(spot)
                if end is not None and end <= (consumer.position(spot, timeout_ms=1_000) or 0):
                    return None
        except (OffsetOutOfRangeError, KafkaTimeoutError):
            return None
        except Exception as error:  # noqa: BLE001 - whatever a broken batch makes the parser raise
            self.close()
            return self._told(f"{type(error).__name__}: {error}"[:500])
        return None

    def _told(self, reason: str) -> Fault:
        from watchkeeper.daemon.transport.kafka_answers import end_in, head_of

        answer, self._answer = self._answer, None
        head = head_of(answer)
        return Fault(reason, head, end_in(head))

    def _note(self, answer: Answer) -> None:
        self._answer = answer

    def _end(self, partition: Partition) -> int:
        """The end of the partition's log as its last fetch told."""
        consumer, spot = self._at(partition, None)
        found = consumer.end_offsets([spot], timeout_ms=10_000)
        return int(found[spot])

    def _at(self, partition: Partition, offset: int | None) -> tuple[Any, Any]:
        from kafka import KafkaConsumer, TopicPartition

        spot = TopicPartition(partition.topic, partition.number)
        if self._consumer is None:
            self._consumer = connected(
                KafkaConsumer,
                self._settings,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                max_partition_fetch_bytes=self._settings.max_partition_fetch_bytes,
                fetch_max_wait_ms=50,
                metrics_enabled=False,
            )
            # What this one can read must be what the other one can.
            hook(self._consumer, way(self._settings))
            self._follow(self._consumer)
        self._consumer.assign([spot])
        if offset is not None:
            self._consumer.seek(spot, offset)
        return self._consumer, spot

    def _follow(self, consumer: Any) -> None:
        """Notes what each fetch brings, where the library is as expected."""
        from watchkeeper.daemon.transport.kafka_answers import noting

        fetcher: Any = getattr(consumer, "_fetcher", None)
        if hasattr(fetcher, "PartitionRecords"):
            fetcher.PartitionRecords = noting(fetcher.PartitionRecords, self._note)
