"""Finds where a partition can be read again after records that no client can read."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from watchkeeper.daemon.transport.kafka_client import connected
from watchkeeper.daemon.transport.kafka_reading import hook, way
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.settings import KafkaSettings

_PATIENCE_S = 10.0


class QuarantinedRange(msgspec.Struct, frozen=True):
    """The records [start, end) of a partition were passed over because they cannot be read."""

    topic: str
    partition: int
    start: int
    end: int
    reason: str


class Prober:
    """Tries to read at single offsets, with a consumer of its own and without a group.

    A consumer that met a record it cannot read may hang in its next poll, so it is thrown away.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: Any = None

    def unreadable(self, partition: Partition, start: int) -> QuarantinedRange | None:
        """The range at `start` that cannot be read; None where there is nothing wrong."""
        reason = self._fault(partition, start)
        if reason is None:
            return None
        last = self._end(partition)
        bad, good = start, start + 1
        while good < last and self._fault(partition, good) is not None:
            bad, good = good, good + 2 * (good - start)
        good = max(min(good, last), start + 1)
        while good - bad > 1:
            middle = (bad + good) // 2
            if self._fault(partition, middle) is None:
                good = middle
            else:
                bad = middle
        return QuarantinedRange(partition.topic, partition.number, start, good, reason)

    def close(self) -> None:
        """Frees the consumer."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=2_000)
            self._consumer = None

    def _fault(self, partition: Partition, offset: int) -> str | None:
        """Why the record at `offset`, or the next one there is, cannot be read."""
        from kafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

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
            return f"{type(error).__name__}: {error}"[:500]
        return None

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
        self._consumer.assign([spot])
        if offset is not None:
            self._consumer.seek(spot, offset)
        return self._consumer, spot
