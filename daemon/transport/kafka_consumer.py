"""Makes the consumer of a member of a group, as the settings say."""

from __future__ import annotations

import functools
from typing import Any

from watchkeeper.daemon.transport.assignment import Assignment
from watchkeeper.daemon.transport.kafka_client import connected
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.settings import KafkaSettings

# Larger answers cost more a byte: they do not stay in the processor's cache. And with what is told
# beside the records they must stay below what the heap keeps for the next one.
_ANSWER_BYTES = 8 * 1024 * 1024 - 256 * 1024
READING: dict[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "isolation_level": "read_committed",
    "allow_auto_create_topics": False,
    "metadata_max_age_ms": 30_000,
    "metrics_enabled": False,
}


@functools.lru_cache(maxsize=10_000)
def spot(partition: Partition) -> Any:
    """The library's name of a partition."""
    from kafka import TopicPartition

    return TopicPartition(*partition)


def _assignor(settings: KafkaSettings, assignment: Assignment) -> Any:
    """A model's home is a partition number, the same in every topic: only these two keep that."""
    if settings.assignor == "range":
        from kafka.coordinator.assignors.range import RangePartitionAssignor

        return RangePartitionAssignor
    from watchkeeper.daemon.transport.sharing import NumberSticky

    return NumberSticky(lambda: assignment.ours)


def consumer_of(settings: KafkaSettings, assignment: Assignment) -> Any:
    """A consumer in the group; raises what the library raises."""
    from kafka import KafkaConsumer

    return connected(
        KafkaConsumer,
        settings,
        group_id=settings.group_id,
        group_instance_id=settings.group_instance_id,
        partition_assignment_strategy=(_assignor(settings, assignment),),
        **READING,
        **_limits(settings),
    )


def _limits(settings: KafkaSettings) -> dict[str, Any]:
    return {
        "max_poll_records": settings.max_poll_records,
        "max_poll_interval_ms": settings.max_poll_interval_ms,
        "fetch_min_bytes": settings.fetch_min_bytes,
        "fetch_max_wait_ms": settings.fetch_max_wait_ms,
        "fetch_max_bytes": max(_ANSWER_BYTES, settings.max_partition_fetch_bytes),
        "max_partition_fetch_bytes": settings.max_partition_fetch_bytes,
        "session_timeout_ms": settings.session_timeout_ms,
        "heartbeat_interval_ms": min(3_000, settings.session_timeout_ms // 3),
    }
