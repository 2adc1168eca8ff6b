from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.daemon.demo.cases import START, action, incident
from watchkeeper.daemon.demo.application import Order
from watchkeeper.daemon.demo.fleet import Sent
from watchkeeper.daemon.demo.wires import BrokerWire, MemoryWire, NotSent
from watchkeeper.daemon.reporting.messages import action_message
from watchkeeper.daemon.reporting.topics import TopicNames, order
from watchkeeper.daemon.transport.codec.encode import encode
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.detectors.types import moment
from watchkeeper.handlers.types import ActionState

TOPIC = "watchkeeper.actions"
ORDER = Order("act-1", "fraud", "switch", {"version": "v1"}, START + 65.0)
TOLD = order(
    ORDER.key,
    ORDER.model,
    ORDER.verb,
    ORDER.args,
    TopicNames(actions=TOPIC),
    moment(START),
    moment(ORDER.expires_at),
)


def transition() -> Message:
    """A message that only tells of an action."""
    told = action_message(action(incident("fraud", START), ActionState.HELD))
    return encode(told, topic=TOPIC, type_="action.v1", id_="a", time=told.time, key="fraud")


@dataclass
class Deaf:
    """A sink whose broker refuses everything."""

    closed: list[bool] = field(default_factory=list)

    def publish(self, messages: Sequence[Message], timeout: float) -> list[str | None]:
        return ["the broker is away"] * len(messages)

    def close(self, timeout: float = 10.0) -> None:
        self.closed.append(True)


def test_messages_in_memory_are_dated_with_simulated_time_and_counted() -> None:
    broker = MemoryBroker()
    wire = MemoryWire(broker, TOPIC)

    wire.send([Sent(START + 7, Message("predictions", b"fraud", b"{}"))])

    assert [record.at for record in broker.records("predictions")] == [START + 7]
    assert wire.sent == 1


def test_orders_in_memory_are_given_once_and_nothing_else_is() -> None:
    broker = MemoryBroker()
    wire = MemoryWire(broker, TOPIC)
    broker.publish(transition(), START)
    broker.publish(TOLD, START)

    assert wire.orders() == [ORDER]
    assert wire.orders() == []
    broker.publish(TOLD, START)
    assert wire.orders() == [ORDER]


def test_orders_over_a_broker_are_read_from_the_beginning() -> None:
    broker = MemoryBroker()
    broker.publish(transition(), START)
    broker.publish(TOLD, START)
    wire = BrokerWire(MemorySink(broker), MemorySource(broker, [TOPIC], group="application"))

    found = [*wire.orders(), *wire.orders()]

    assert found == [ORDER]


def test_a_broker_gets_the_messages_in_order() -> None:
    broker = MemoryBroker()
    wire = BrokerWire(MemorySink(broker), MemorySource(broker, [TOPIC]))

    wire.send([Sent(START, Message("t", b"k", bytes([i]))) for i in range(5)])

    assert [record.value for record in broker.records("t")] == [bytes([i]) for i in range(5)]
    assert wire.sent == 5


def test_what_the_broker_refuses_is_an_error_with_its_reason() -> None:
    wire = BrokerWire(Deaf(), MemorySource(MemoryBroker(), [TOPIC]))

    with pytest.raises(NotSent, match="the broker is away"):
        wire.send([Sent(START, Message("t", b"k", b"v"))])
    assert wire.sent == 0
