"""A join that has begun is seen through, whatever made it begin."""

from __future__ import annotations

import pytest
import structlog

from tests.daemon.transport.contract import read, until_caught_up
from tests.daemon.transport.onkafka import publish, settings_for, source_of, topic_of
from tests.services.base import wait_until
from tests.services.brokers import Broker


@pytest.mark.service
def test_a_leader_whose_reason_to_join_is_gone_sees_its_join_through(kafka: Broker) -> None:
    settings = settings_for(kafka)
    topic = topic_of(settings)
    publish(settings, topic, [b"1"])
    with structlog.testing.capture_logs() as logs, source_of(settings, topic) as source:
        read(source, 1)
        until_caught_up(source)
        consumer = source._member.consumer
        coordinator = consumer._coordinator
        dealt = coordinator._assignment_snapshot
        coordinator._assignment_snapshot = {topic: {0, 1}}  # as before its topic grew

        consumer.poll(0)  # ends before the answer to the join comes
        began = coordinator.rejoining
        wait_until(lambda: coordinator._assignment_snapshot == dealt, 30.0, "its own dealing")
        publish(settings, topic, [b"2"])
        records = read(source, 1, 1)

    assert began
    assert [record.value for record in records] == [b"2"]
    assert "joining the group anew" not in [each["event"] for each in logs]
