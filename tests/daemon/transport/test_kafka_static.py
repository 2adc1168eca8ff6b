"""Members with static names: what the library leaves out, on Apache Kafka."""

from __future__ import annotations

from contextlib import closing

import msgspec
import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewPartitions
from kafka.errors import NodeNotReadyError

from tests.daemon.transport.contract import WAIT_S, read
from tests.daemon.transport.onkafka import (
    Member,
    poll_until,
    publish,
    settings_for,
    source_of,
    topic_of,
)
from tests.services.base import wait_until
from tests.services.brokers import Broker
from watchkeeper.daemon.transport import kafka_consumer
from watchkeeper.daemon.transport.kafka import KafkaSource
from watchkeeper.daemon.transport.ports import Partition, Polled, Replaced
from watchkeeper.daemon.transport.settings import KafkaSettings

pytestmark = [
    pytest.mark.service,
]


def named(settings: KafkaSettings, name: str) -> KafkaSettings:
    """The settings of one member of a group."""
    return msgspec.structs.replace(settings, group_instance_id=name)


def state_of(source: KafkaSource) -> str:
    return str(source._member.consumer.group_metadata().state)


def test_a_stall_beyond_the_poll_interval_moves_nothing(durable_kafka: Broker) -> None:
    """The library forgets its membership without telling the brokers, and polls on."""
    settings = settings_for(durable_kafka, session_timeout_ms=30_000, max_poll_interval_ms=3_000)
    topic = topic_of(settings, partitions=2)
    first, second = named(settings, "w-1"), named(settings, "w-2")
    with closing(Member(second, topic)) as other, source_of(first, topic) as source:
        poll_until(source, lambda _: len(other.owned) == 1 and len(source.lag()) == 1)
        (mine,) = source.lag()
        (theirs,) = other.owned

        wait_until(lambda: state_of(source) != "<stable>", WAIT_S, "the forgotten membership")
        source.commit({mine: 0})
        again = poll_until(source, lambda polled: mine in polled.assigned)

        assert again.lost == (mine,)
        assert other.owned == {theirs}
        sent = {b"%d" % n for n in range(20)}
        publish(settings, topic, sorted(sent))
        values: set[bytes | None] = set()

        def complete(polled: Polled) -> bool:
            values.update(record.value for record in polled.records)
            return values | set(other.values) == sent

        poll_until(source, complete)


def test_of_two_with_one_name_the_older_ends(durable_kafka: Broker) -> None:
    settings = named(settings_for(durable_kafka), "the-same")
    topic = topic_of(settings)
    with source_of(settings, topic) as older, source_of(settings, topic) as newer:
        poll_until(older, lambda polled: bool(polled.assigned))
        poll_until(newer, lambda polled: bool(polled.assigned))

        with pytest.raises(Replaced, match="the-same: give each its own"):
            poll_until(older, lambda _: False)

        publish(settings, topic, [b"1"])
        last = poll_until(newer, lambda polled: bool(polled.records))
        assert [record.value for record in last.records] == [b"1"]


def test_a_heartbeat_that_died_is_noticed_and_the_member_goes_on(durable_kafka: Broker) -> None:
    """The library does not begin it anew before the next rebalance."""
    settings = named(settings_for(durable_kafka), "w-1")
    topic = topic_of(settings)
    publish(settings, topic, [b"1"])
    with source_of(settings, topic) as source:
        read(source, 1)
        dying = source._member.consumer
        task = dying._coordinator._heartbeat_loop_future

        def broken() -> bool:
            raise NodeNotReadyError("the loop does not expect this here")

        dying._coordinator.heartbeat.should_heartbeat = broken
        wait_until(lambda: task.is_done, WAIT_S, "the end of the heartbeat")

        poll_until(source, lambda polled: bool(polled.assigned))

        assert source._member.consumer is not dying
        assert not source._member.consumer._coordinator._heartbeat_loop_future.is_done
        publish(settings, topic, [b"2"])
        assert b"2" in [r.value for r in poll_until(source, lambda p: bool(p.records)).records]


def test_new_partitions_are_found_after_a_static_leader_was_restarted(
    durable_kafka: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kafka_consumer.READING, "metadata_max_age_ms", 500)
    settings = named(settings_for(durable_kafka), "w-1")
    topic = topic_of(settings)
    with source_of(settings, topic) as source:
        poll_until(source, lambda polled: bool(polled.assigned))
    with source_of(settings, topic) as source:
        poll_until(source, lambda polled: bool(polled.assigned))

        with closing(KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)) as admin:
            admin.create_partitions({topic: NewPartitions(2)})

        found = poll_until(source, lambda polled: Partition(topic, 1) in polled.assigned)
        assert Partition(topic, 1) in found.assigned
