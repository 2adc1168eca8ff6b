"""Turns the daemon by hand, so that its time is the demo's time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.demo.driver import Recorded
from watchkeeper.daemon.demo.fleet import Sent, Topics, message
from watchkeeper.daemon.transport.ports import Partition, Polled, Source
from watchkeeper.detectors.types import Command, moment
from watchkeeper.handlers.types import Action, Incident

READ_S = 60.0  # wall time the daemon may take to read what was sent in one turn


class TooSlow(Exception):
    """The daemon did not read what was sent; the text says how far it came."""


class Turner(Protocol):
    """The daemon's loop, one turn at a time."""

    def turn(self, now: float) -> Step:
        """Polls, decodes, steps and commits once, as if it were `now`."""

    def recorded(self) -> Recorded:
        """Commits, and reads back what it has recorded."""


class Publisher(Protocol):
    """The applications' way to the daemon's topics."""

    sent: int

    def send(self, sent: Sequence[Sent]) -> None:
        """Publishes messages, in order, and counts them."""


@dataclass
class CountedSource:
    """A source that counts the records it gave: the demo waits until all that was sent is read."""

    inner: Source
    given: int = 0

    def poll(self, timeout: float) -> Polled:
        polled = self.inner.poll(timeout)
        self.given += len(polled.records)
        return polled

    def idle(self, timeout: float) -> None:
        self.inner.idle(timeout)

    def start(self, partition: Partition, offset: int | None, topic: str | None = None) -> None:
        self.inner.start(partition, offset, topic)

    def caught_up(self) -> bool:
        return self.inner.caught_up()

    def ended(self) -> bool:
        return self.inner.ended()

    def lag(self) -> Mapping[Partition, int]:
        return self.inner.lag()

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        self.inner.commit(offsets)

    def close(self, timeout: float = 10.0) -> None:
        self.inner.close(timeout)


@dataclass
class DaemonWatch:
    """A daemon that reads everything that was sent before simulated time goes on."""

    daemon: Turner
    source: CountedSource
    wire: Publisher
    topics: Topics
    actor: str = "you"
    clock: Callable[[], float] = time.monotonic
    _now: float = 0.0
    _incidents: dict[str, Incident] = field(default_factory=dict)
    _actions: dict[str, Action] = field(default_factory=dict)

    def turn(self, now: float) -> None:
        self._now = now
        deadline = self.clock() + READ_S
        self._take(self.daemon.turn(now))
        while self.source.given < self.wire.sent:
            if self.clock() > deadline:
                raise TooSlow(f"read {self.source.given} of {self.wire.sent} messages")
            self._take(self.daemon.turn(now))

    def incidents(self) -> Sequence[Incident]:
        return [*self._incidents.values()]

    def actions(self) -> Sequence[Action]:
        return [*self._actions.values()]

    def approve(self, action_id: str) -> None:
        self._say("approve", action_id)

    def reject(self, action_id: str) -> None:
        self._say("reject", action_id)

    def recorded(self) -> Recorded:
        return self.daemon.recorded()

    def _take(self, step: Step) -> None:
        self._incidents.update(step.incidents)
        self._actions.update(step.actions)

    def _say(self, verb: str, action_id: str) -> None:
        """A person's word goes the way of all commands: over the topic."""
        command = Command(
            id=f"{verb}-{action_id}",
            time=moment(self._now),
            command="approve" if verb == "approve" else "reject",
            target=action_id,
            model_name=self._actions[action_id].model,
            actor=self.actor,
        )
        self.wire.send([Sent(self._now, message("command", command, self.topics))])
