"""A cooperative hand-over between two members, on Apache Kafka."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.daemon.transport.contract import WAIT_S
from tests.daemon.transport.onkafka import Member, poll_until, settings_for, source_of, topic_of
from tests.services.base import wait_until
from tests.services.brokers import Broker

pytestmark = [
    pytest.mark.service,
]


def test_nobody_gets_a_partition_before_its_reader_was_told_that_it_is_gone(
    durable_kafka: Broker,
) -> None:
    settings = settings_for(durable_kafka, assignor="cooperative-sticky")
    topic = topic_of(settings, partitions=2)
    with source_of(settings, topic) as source:
        poll_until(source, lambda polled: len(polled.assigned) == 2)
        with closing(Member(settings, topic)) as other:
            polled = source.poll(0.2)
            while not polled.revoked:
                polled = source.poll(5.0)  # long enough for the library to give it away meanwhile

            with pytest.raises(TimeoutError):
                wait_until(lambda: other.owned, 4.0, "what must not come")
            assert len(source.lag()) == 1

            source.poll(0.2)
            wait_until(lambda: (source.poll(0.2), other.owned)[1], WAIT_S, "the hand-over")
            assert other.owned == set(polled.revoked)
