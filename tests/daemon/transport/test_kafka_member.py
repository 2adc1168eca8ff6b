"""The member of a group and its broker's death, on a real broker."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from itertools import chain
from typing import Any

import pytest
from kafka.errors import UnknownMemberIdError
from kafka.protocol.consumer import HeartbeatResponse

from tests.daemon.transport.contract import WAIT_S, read, until_caught_up
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
from watchkeeper.daemon.transport import kafka_member
from watchkeeper.daemon.transport.kafka import KafkaSource
from watchkeeper.daemon.transport.ports import Partition, Polled

pytestmark = [
    pytest.mark.service,
]

RECORDS = 1_500


class Reading:
    """Reads as the daemon does: what is stored with each batch says where to begin again."""

    def __init__(self, source: KafkaSource) -> None:
        self.source = source
        self.values: dict[Partition, dict[int, bytes | None]] = {}
        self._at: dict[Partition, int] = {}
        self._stored: dict[Partition, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self.values.values()))

    def step(self) -> Polled:
        """One poll. Each record must be the next one, or the first one behind what is stored."""
        polled = self.source.poll(0.2)
        for partition in (*polled.revoked, *polled.lost):
            self._at.pop(partition)
        for record in polled.records:
            partition = Partition(record.topic, record.partition)
            assert record.offset == self._at[partition]
            self._at[partition] += 1
            self.values.setdefault(partition, {})[record.offset] = record.value
        for partition in polled.assigned:
            self._at[partition] = self._stored.get(partition, 0)
            self.source.start(partition, self._at[partition])
        return polled

    def store(self) -> None:
        """What the daemon does at a checkpoint."""
        self._stored |= self._at
        self.source.commit(self._stored)

    def until(self, count: int) -> None:
        deadline = time.monotonic() + 2 * WAIT_S
        while len(self) < count:
            assert time.monotonic() < deadline, f"only {len(self)} of {count} records came"
            self.step()
            if len(self) % 3:
                self.store()


def test_a_broker_killed_while_reading_costs_no_record_and_no_order(durable_kafka: Broker) -> None:
    settings = settings_for(
        durable_kafka, max_poll_records=50, max_partition_fetch_bytes=65_536, fetch_max_wait_ms=100
    )
    topic = topic_of(settings, partitions=2)
    values = [b"%06d" % n + b"x" * 1_000 for n in range(RECORDS)]
    publish(settings, topic, values)
    with source_of(settings, topic) as source:
        reading = Reading(source)
        reading.until(300)
        durable_kafka.kill()
        for _ in range(10):
            reading.step()
        assert len(reading) < RECORDS
        durable_kafka.start()
        publish(settings, topic, [b"%06d" % n for n in range(RECORDS, RECORDS + 100)])

        reading.until(RECORDS + 100)

        came = [[each[n] for n in range(len(each))] for each in reading.values.values()]
        numbers = [[int((value or b"")[:6]) for value in each] for each in came]
        assert all(each == sorted(each) for each in numbers)
        assert sorted(chain(*numbers)) == list(range(RECORDS + 100))
        assert source.take_gaps() == []
        assert source.take_quarantined() == []


NOTICED_S = 5.0  # half the usual lateness


def test_a_broker_that_falls_silent_leaves_open_whether_all_was_read(kafka: Broker) -> None:
    settings = settings_for(kafka)
    topic = topic_of(settings, partitions=2)
    publish(settings, topic, [b"%d" % n for n in range(10)])
    with source_of(settings, topic) as source:
        read(source, 10)
        until_caught_up(source)
        for _ in range(20):
            source.poll(0.2)
        assert source.caught_up(), "a broker without news is not a silent one"

        began = time.monotonic()
        with kafka.halted():
            poll_until(source, lambda _: not source.caught_up())
            assert time.monotonic() - began < NOTICED_S

        poll_until(source, lambda _: source.caught_up())


REJOINED_S = 3.0  # half a session: the group must not wait for one to expire


def test_a_member_that_was_given_up_joins_anew_once(kafka: Broker) -> None:
    """The group tells it so twice, and the second time when it has its new name already."""
    settings = settings_for(kafka)
    topic = topic_of(settings)
    with source_of(settings, topic) as source:
        poll_until(source, lambda polled: bool(polled.assigned))
        coordinator = source._member.consumer._coordinator
        sent = time.monotonic()
        joined = coordinator._process_join_group_response
        told: list[float] = []

        def joined_and_told_again(response: Any, asked: float) -> Any:
            if response.error_code == 0 and not told:
                told.append(sent)
                with suppress(UnknownMemberIdError):
                    coordinator._handle_heartbeat_response(HeartbeatResponse(0, 25), sent)
            return joined(response, asked)

        coordinator._process_join_group_response = joined_and_told_again
        began = time.monotonic()
        coordinator.maybe_leave_group()

        poll_until(source, lambda polled: bool(polled.assigned))

        assert told
        assert time.monotonic() - began < REJOINED_S


@pytest.fixture
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kafka_member.SILENCE_S <= 20
    monkeypatch.setattr(kafka_member, "SILENCE_S", 0.5)


@pytest.mark.usefixtures("short_silence")
def test_a_broker_lost_while_nothing_comes_is_trouble_until_it_is_back(
    durable_kafka: Broker,
) -> None:
    settings = settings_for(durable_kafka)
    topic = topic_of(settings)
    publish(settings, topic, [b"1"])
    with source_of(settings, topic) as source:
        read(source, 1)
        until_caught_up(source)
        for _ in range(10):
            source.poll(0.1)
        assert source.trouble is None

        durable_kafka.kill()
        poll_until(source, lambda _: source.trouble is not None)

        durable_kafka.start()
        poll_until(source, lambda _: source.trouble is None)
        publish(settings, topic, [b"2"])
        last = poll_until(source, lambda polled: bool(polled.records))
        assert last.records[-1].value == b"2"


@pytest.mark.usefixtures("short_silence")
def test_a_member_without_partitions_notices_it_too(durable_kafka: Broker) -> None:
    settings = settings_for(durable_kafka)
    topic = topic_of(settings)
    with closing(Member(settings, topic)) as first, closing(Member(settings, topic)) as second:
        both = {first, second}
        wait_until(lambda: sum(len(each.owned) for each in both) == 1, WAIT_S, "an owner")
        (idle,) = (each for each in both if not each.owned)
        assert idle.source.trouble is None

        durable_kafka.kill()

        wait_until(lambda: idle.source.trouble, WAIT_S, "trouble")
