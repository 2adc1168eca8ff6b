from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest

from tests.daemon.demo.cases import START, action, incident
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.demo.driver import Recorded
from watchkeeper.daemon.demo.fleet import KINDS, Sent
from watchkeeper.daemon.demo.watching import READ_S, CountedSource, DaemonWatch, TooSlow
from watchkeeper.daemon.demo.wires import MemoryWire
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySource
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.detectors.types import Command, EventKind
from watchkeeper.handlers.types import Action, ActionState

TOPICS: dict[EventKind, str] = {kind: kind for kind in KINDS}


@dataclass
class Reader:
    """A daemon that only reads, and reports the actions it is given."""

    source: CountedSource
    actions: list[Action] = field(default_factory=list)
    deaf: bool = False
    turns: list[float] = field(default_factory=list)

    def turn(self, now: float) -> Step:
        self.turns.append(now)
        if not self.deaf:
            for partition in self.source.poll(0.0).assigned:
                self.source.start(partition, 0)
        changed = {each.id: each for each in self.actions}
        return Step(incidents={i.id: i for i in [incident("fraud", START)]}, actions=changed)

    def recorded(self) -> Recorded:
        return Recorded([], self.actions)


@dataclass
class Clock:
    """Each look takes a tenth of the time the daemon has."""

    now: float = 0.0

    def __call__(self) -> float:
        self.now += READ_S / 10
        return self.now


def watched(*actions: Action, deaf: bool = False) -> tuple[DaemonWatch, Reader, MemoryBroker]:
    broker = MemoryBroker(dict.fromkeys(KINDS, 1))
    wire = MemoryWire(broker, "actions")
    source = CountedSource(MemorySource(broker, KINDS, max_records=10))
    reader = Reader(source, [*actions], deaf)
    return DaemonWatch(reader, source, wire, TOPICS, clock=Clock()), reader, broker


def test_a_turn_lasts_until_everything_sent_was_read() -> None:
    watch, reader, _ = watched()
    watch.wire.send([Sent(START, Message("label", b"fraud", b"{}")) for _ in range(25)])

    watch.turn(START)

    assert reader.source.given == 25
    assert set(reader.turns) == {START}


def test_a_daemon_that_does_not_read_is_given_up() -> None:
    watch, _, _ = watched(deaf=True)
    watch.wire.send([Sent(START, Message("label", b"fraud", b"{}"))])

    with pytest.raises(TooSlow, match="read 0 of 1"):
        watch.turn(START)


def test_incidents_and_actions_are_known_in_their_newest_state() -> None:
    about = incident("fraud", START)
    watch, reader, _ = watched(action(about, ActionState.HELD))
    watch.turn(START)
    reader.actions = [action(about, ActionState.PERMITTED)]

    watch.turn(START + 15)

    assert [each.state for each in watch.actions()] == [ActionState.PERMITTED]
    assert [each.id for each in watch.incidents()] == [about.id]


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_persons_word_goes_over_the_topic_of_commands(verb: str) -> None:
    held = action(incident("fraud", START), ActionState.HELD)
    watch, _, broker = watched(held)
    watch.turn(START)

    (watch.approve if verb == "approve" else watch.reject)(held.id)

    said = msgspec.json.decode(broker.records("command")[0].value or b"", type=Command)
    assert (said.command, said.target, said.model_name) == (verb, held.id, "fraud")
    assert said.actor == "you"
