"""With `offset_reset = "latest"`, what came after the beginning is read, whatever happens then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.daemon.transport.onkafka import (
    poll_until,
    publish,
    settings_for,
    source_of,
    topic_of,
)
from tests.services.brokers import Broker
from watchkeeper.daemon.transport.kafka import KafkaSource
from watchkeeper.daemon.transport.ports import Partition, Polled

pytestmark = pytest.mark.service

FIVE = [b"%d" % n for n in range(5)]
Again = Callable[[KafkaSource, Partition], None]


def start_again(source: KafkaSource, partition: Partition) -> None:
    """What the loop does when it forgets what was not made true."""
    source.start(partition, None)


def join_anew(source: KafkaSource, partition: Partition) -> None:
    """What the member does when it lost the group: `poll_until` starts what is assigned."""
    source._member.leave(2.0)


@pytest.mark.parametrize("again", [start_again, join_anew])
def test_what_came_before_anything_was_stored_is_read_again(kafka: Broker, again: Again) -> None:
    settings = settings_for(kafka, offset_reset="latest")
    topic = topic_of(settings)
    publish(settings, topic, [b"before"])
    values: list[bytes | None] = []

    def taken(polled: Polled) -> bool:
        values.extend(record.value for record in polled.records)
        return FIVE[-1] in values

    with source_of(settings, topic) as source:
        poll_until(source, lambda _: source.caught_up() and bool(source.lag()))
        publish(settings, topic, FIVE)
        poll_until(source, taken)
        read_once = values.copy()
        values.clear()

        again(source, Partition(topic, 0))

        poll_until(source, taken)
        assert read_once == values == FIVE
