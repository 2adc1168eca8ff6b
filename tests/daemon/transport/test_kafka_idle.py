"""While nothing can be stored, a member reads nothing and stays in its group."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.daemon.transport.contract import WAIT_S
from tests.daemon.transport.onkafka import (
    Member,
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


def idle_until(source: KafkaSource, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        source.idle(0.2)


def taken(polled: Polled) -> list[bytes]:
    return [record.value or b"" for record in polled.records]


def all_of(source: KafkaSource, seen: list[bytes], count: Callable[[], int]) -> None:
    """Takes what comes until there is so much of it."""

    def enough(polled: Polled) -> bool:
        seen.extend(taken(polled))
        return len(seen) == count()

    poll_until(source, enough)


def values_of(source: KafkaSource, count: int) -> list[bytes]:
    """What comes next; nothing may change hands meanwhile."""
    found: list[bytes] = []
    until = time.monotonic() + WAIT_S
    while len(found) < count and time.monotonic() < until:
        polled = source.poll(0.2)
        assert not {*polled.assigned, *polled.revoked, *polled.lost}
        found += taken(polled)
    return found


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "records"])
def test_it_stays_a_member_for_longer_than_it_may_leave_out_its_polls(
    kafka: Broker, batches: bool
) -> None:
    settings = settings_for(kafka, max_poll_interval_ms=2_000, batches=batches)
    topic = topic_of(settings, 2)
    first, more = ([b"%d" % n for n in some] for some in (range(50), range(50, 100)))
    publish(settings, topic, first)
    with source_of(settings, topic) as source:
        seen: list[bytes] = []
        poll_until(source, lambda polled: bool(polled.assigned))
        all_of(source, seen, lambda: 50)
        generation = source._member.consumer.group_metadata().generation_id
        publish(settings, topic, more)

        idle_until(source, 5.0)
        held = sum(source._aligner.count().values())
        came = values_of(source, 50)

        assert source._member.consumer.group_metadata().generation_id == generation
    assert held == 0
    assert sorted(came) == sorted(more)


@pytest.mark.parametrize("assignor", ["range", "cooperative-sticky"])
def test_a_group_does_not_wait_for_a_member_that_can_store_nothing(
    kafka: Broker, assignor: str
) -> None:
    settings = settings_for(kafka, assignor=assignor)
    topic = topic_of(settings, 2)
    both = {Partition(topic, 0), Partition(topic, 1)}
    with source_of(settings, topic) as source:
        owned = set(poll_until(source, lambda polled: bool(polled.assigned)).assigned)
        assert owned == both
        poll_until(source, lambda polled: source.caught_up())
        other = Member(settings, topic)
        try:
            until = time.monotonic() + WAIT_S
            while not other.owned and time.monotonic() < until:
                source.idle(0.2)
            values = [b"%d" % n for n in range(40)]
            publish(settings, topic, values)
            idle_until(source, 1.0)
            assert not any(source._aligner.count().values())

            told = source.poll(0.0)
            gone = {*told.lost, *told.revoked}
            for partition in told.assigned:
                source.start(partition, None)
            assert len(other.owned) == 1
            assert gone - set(told.assigned) == other.owned
            # A partition that was kept all the time goes on at once: its records may come already.
            brought = {Partition(record.topic, record.partition) for record in told.records}
            assert not brought & gone
            kept = taken(told)
            all_of(source, kept, lambda: 40 - len(other.values))
        finally:
            other.close()
    assert sorted([*kept, *(value or b"" for value in other.values)]) == sorted(values)
