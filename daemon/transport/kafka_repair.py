"""Goes on where the next record is gone or cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import structlog
from msgspec.structs import replace

from watchkeeper.daemon.transport.kafka_member import KafkaMember
from watchkeeper.daemon.transport.kafka_positions import KafkaPositions
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.quarantine import Prober, QuarantinedRange

log = structlog.get_logger()


Reason = Literal["out of range", "truncated", "of a topic that is gone"]


class DataGap(msgspec.Struct, frozen=True):
    """Records from `wanted` on were gone, so reading went on at `resumed`, in the topic of that id
    where the brokers tell it."""

    topic: str
    partition: int
    wanted: int
    resumed: int
    reason: Reason
    topic_id: str = ""


def pass_over(
    member: KafkaMember, positions: KafkaPositions, error: Exception
) -> list[QuarantinedRange]:
    """Goes on behind what cannot be read; begins anew where nothing of the kind is found.

    The seek makes the library drop the batch it would otherwise hang in, and fetch again what it
    had fetched when the poll broke off.
    """
    log.warning("cannot read on", reason=f"{type(error).__name__}: {error}"[:300])
    prober = Prober(member.settings)
    try:
        looked = [prober.unreadable(partition, positions[partition]) for partition in positions]
        found = {Partition(bad.topic, bad.partition): bad for bad in looked if bad is not None}
        for partition in list(positions):
            bad = found.get(partition)
            positions.seek(partition, positions[partition] if bad is None else bad.end)
    except Exception as second:  # noqa: BLE001 - the brokers may have gone meanwhile
        member.failed(second)
        member.leave(2.0)
        return []
    finally:
        prober.close()
    if not found:
        member.failed(error)
        member.leave(2.0)
    return [replace(bad, topic_id=positions.topic(place)) for place, bad in found.items()]


def resume_behind_gaps(
    member: KafkaMember, positions: KafkaPositions, wanted: Mapping[Any, Any]
) -> list[DataGap]:
    """Goes on where there are records again.

    `wanted` has by partition the offset that is out of range, or where the log was truncated
    (None: the brokers do not know), as the library's errors give them.
    """
    from kafka.errors import KafkaError

    gaps: list[DataGap] = []
    for place, said in wanted.items():
        partition = Partition(*place)
        if partition not in positions:
            continue  # it was taken away meanwhile
        reason: Reason = "out of range" if isinstance(said, int) else "truncated"
        old = positions[partition]
        if positions.made_anew(partition):
            gaps += begin_made_anew(member, positions, [partition])
            continue
        try:
            known = None if said is None or isinstance(said, int) else int(said.offset)
            new = member.default_offset(partition) if known is None else known
            positions.go_on(partition, new)
            positions.doubt_topic(partition)
        except (KafkaError, KeyError) as error:
            member.failed(error)
            member.leave(2.0)
            break
        gaps.append(DataGap(*partition, old, new, reason, positions.topic(partition)))
    return gaps


def begin_made_anew(
    member: KafkaMember, positions: KafkaPositions, partitions: Sequence[Partition]
) -> list[DataGap]:
    """Goes on at the beginning of partitions whose topic was deleted and made anew."""
    from kafka.errors import KafkaError

    gaps: list[DataGap] = []
    for partition in partitions:
        old = positions[partition]
        try:
            new = member.beginning(partition)
        except KafkaError as error:
            member.failed(error)
            member.leave(2.0)  # what is assigned anew is looked at anew
            break
        positions.go_on(partition, new)
        topic_id = positions.topic(partition)
        gaps.append(DataGap(*partition, old, new, "of a topic that is gone", topic_id))
    return gaps
