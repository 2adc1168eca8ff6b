"""A topic that does not exist is said, and read once it does."""

from __future__ import annotations

import uuid
from contextlib import closing

import pytest

from tests.services.base import wait_until
from tests.services.brokers import Broker
from watchkeeper.daemon.transport.kafka import KafkaSource
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.settings import KafkaSettings
from watchkeeper.daemon.transport.topics import TopicSpec, create_topics

pytestmark = pytest.mark.service
WAIT_S = 60.0


@pytest.mark.parametrize("present", [0, 1])
def test_missing_topics_are_trouble_until_they_are_made(
    durable_kafka: Broker, present: int
) -> None:
    topics = [f"t-{uuid.uuid4()}" for _ in range(3)]
    settings = KafkaSettings(
        bootstrap_servers=[durable_kafka.bootstrap], group_id=topics[0], session_timeout_ms=6_000
    )
    assigned: set[Partition] = set()
    if present:
        create_topics(settings, [TopicSpec(topics[0])])

    with closing(KafkaSource(settings, topics)) as source:

        def turned() -> str | None:
            polled = source.poll(0.2)
            for partition in polled.assigned:
                source.start(partition, None)
            assigned.difference_update(polled.revoked, polled.lost)
            assigned.update(polled.assigned)
            assert source.cut_off is None
            return source.trouble

        said = wait_until(turned, WAIT_S, "trouble")
        create_topics(settings, [TopicSpec(topic) for topic in topics])
        wait_until(
            lambda: turned() is None and len(assigned) == len(topics), WAIT_S, "all partitions"
        )

    missing = ", ".join(topics[present:])
    assert said == f"topics {missing} do not exist: run `watchkeeper topics create`"


def test_a_cluster_that_is_not_there_is_named() -> None:
    settings = KafkaSettings(bootstrap_servers=["127.0.0.1:9"])

    with closing(KafkaSource(settings, ["t"])) as source:
        source.poll(0.1)

        assert source.trouble is not None
        assert source.cut_off == source.trouble
        assert source.trouble.startswith("Kafka at 127.0.0.1:9: KafkaTimeoutError: Unable")
