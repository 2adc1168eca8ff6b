"""What lies between the simulated applications and the daemon: topics, in memory or on Kafka."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from watchkeeper.daemon.demo.application import Order
from watchkeeper.daemon.demo.fleet import Sent
from watchkeeper.daemon.reporting.messages import ActionMessage
from watchkeeper.daemon.transport.memory import MemoryBroker
from watchkeeper.daemon.transport.ports import Message, Record, Sink, Source

PUBLISH_S = 30.0


class NotSent(Exception):
    """The broker did not take a message; the text says why."""


@dataclass
class MemoryWire:
    """Publishes into a broker in memory, each message dated with its own simulated time."""

    broker: MemoryBroker
    actions_topic: str
    sent: int = 0
    _read: int = 0

    def send(self, sent: Sequence[Sent]) -> None:
        for one in sent:
            self.broker.publish(one.message, one.at)
        self.sent += len(sent)

    def orders(self) -> Sequence[Order]:
        records = [r for r in self.broker.records(self.actions_topic) if r.offset >= self._read]
        if records:
            self._read = records[-1].offset + 1
        return orders_of(records)


@dataclass
class BrokerWire:
    """Publishes through a sink; `source` reads the topic of actions, from its beginning."""

    sink: Sink
    source: Source
    sent: int = 0

    def send(self, sent: Sequence[Sent]) -> None:
        messages: list[Message] = [one.message for one in sent]
        refused = [each for each in self.sink.publish(messages, PUBLISH_S) if each is not None]
        if refused:
            raise NotSent(f"{len(refused)} of {len(messages)} messages: {refused[0]}")
        self.sent += len(sent)

    def orders(self) -> Sequence[Order]:
        polled = self.source.poll(0.0)
        for partition in polled.assigned:
            self.source.start(partition, 0)
        return orders_of(polled.records)


def _expiry(told: ActionMessage) -> float:
    return math.inf if told.expires_at is None else told.expires_at.timestamp()


def orders_of(records: Iterable[Record]) -> list[Order]:
    """The orders among the messages of the topic of actions; the others only tell of actions."""
    told = [msgspec.json.decode(record.value or b"", type=ActionMessage) for record in records]
    return [
        Order(each.action_id, each.model_name, each.verb, each.args, _expiry(each))
        for each in told
        if each.change == "requested"
    ]
