from __future__ import annotations

import pytest

from tests.daemon.transport.contract import SourceContract, messages, read
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource
from watchkeeper.daemon.transport.ports import Message, Partition, Sink, Source


class TestMemory(SourceContract):
    topic = "labels"

    @pytest.fixture(autouse=True)
    def _broker(self) -> None:
        self.broker = MemoryBroker({self.topic: 1})

    def make_source(self) -> Source:
        return MemorySource(self.broker, [self.topic])

    def make_sink(self) -> Sink:
        return MemorySink(self.broker)


def test_the_protocols_are_kept() -> None:
    broker = MemoryBroker()

    assert isinstance(MemorySource(broker, []), Source)
    assert isinstance(MemorySink(broker), Sink)


def test_a_second_source_goes_on_where_the_group_committed() -> None:
    broker = MemoryBroker()
    MemorySink(broker).publish(messages("labels", 5), 1.0)
    MemorySource(broker, ["labels"]).commit({Partition("labels", 0): 3})

    records = read(MemorySource(broker, ["labels"]), 2)

    assert [r.offset for r in records] == [3, 4]


def test_records_of_one_key_stay_in_one_partition() -> None:
    broker = MemoryBroker({"p": 4})
    sink = MemorySink(broker)
    for n in range(20):
        sink.publish([Message("p", f"model-{n % 5}".encode(), b"{}")], 1.0)

    places = {(r.key, r.partition) for r in broker.records("p")}

    assert len(places) == 5


def test_topics_are_read_in_order_of_time() -> None:
    broker = MemoryBroker()
    for topic, at in (("a", 1.0), ("a", 4.0), ("b", 2.0), ("b", 3.0)):
        broker.publish(Message(topic, None, b"{}"), at)
    source = MemorySource(broker, ["a", "b"])

    assert [r.at for r in read(source, 4)] == [1.0, 2.0, 3.0, 4.0]


def test_a_topic_that_begins_later_is_assigned_then() -> None:
    broker = MemoryBroker()
    source = MemorySource(broker, ["late"])
    assert not source.poll(0.0).assigned

    broker.publish(Message("late", None, b"{}"), 1.0)

    assert source.poll(0.0).assigned == (Partition("late", 0),)


def test_old_records_are_dropped_at_the_limit() -> None:
    broker = MemoryBroker(retain=10)
    for _ in range(100):
        broker.publish(Message("t", None, b"{}"), 1.0)

    kept = broker.records("t")

    assert len(kept) <= 20
    assert kept[-1].offset == 99
    assert [r.offset for r in read(MemorySource(broker, ["t"]), len(kept))] == [
        r.offset for r in kept
    ]
