"""Who stands on the other side of the outbox, and the clock it goes by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from tests.daemon.storage.examples import T0, letter
from tests.services.base import wait_until
from watchkeeper.daemon.storage.outbox import OK, Delivery, Outbox
from watchkeeper.daemon.storage.values import Channel, OutboxRow

RETRY = Delivery("retry", "503")


@dataclass
class Receiver:
    """The other side: answers from `plan`, then OK."""

    plan: list[Delivery] = field(default_factory=list)
    got: list[OutboxRow] = field(default_factory=list)
    calls: int = 0

    def __call__(self, rows: Sequence[OutboxRow]) -> list[Delivery]:
        self.calls += 1
        answers = [self.plan.pop(0) if self.plan else OK for _ in rows]
        self.got += [r for r, a in zip(rows, answers, strict=True) if a.outcome == "ok"]
        return answers

    @property
    def ids(self) -> list[str]:
        return [row.id for row in self.got]


@dataclass
class Clock:
    now: float = T0

    def __call__(self) -> float:
        return self.now


def on(topic: str, name: str, key: bytes | None = None, channel: Channel = "kafka") -> OutboxRow:
    row = letter(name, incident=None, channel=channel)
    return msgspec.structs.replace(row, topic=topic, key=key)


@dataclass
class Topics:
    """Takes messages of all topics but those that are `denied`."""

    denied: set[str]
    got: list[str] = field(default_factory=list)

    def __call__(self, rows: Sequence[OutboxRow]) -> list[Delivery]:
        self.got += [row.id for row in rows if row.topic not in self.denied]
        return [RETRY if row.topic in self.denied else OK for row in rows]


@dataclass
class Holding:
    """Takes everything and keeps the rows."""

    got: list[OutboxRow] = field(default_factory=list)

    def __call__(self, rows: Sequence[OutboxRow]) -> list[Delivery]:
        self.got += rows
        return [OK] * len(rows)


def running(outbox: Outbox, until: Callable[[], bool]) -> None:
    """Has the sender run until then."""
    outbox.start()
    try:
        outbox.wake()
        wait_until(until, 10.0, "the sender")
    finally:
        assert outbox.stop(10.0)
