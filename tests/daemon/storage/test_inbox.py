"""A command is taken once and answered once."""

from __future__ import annotations

from tests.daemon.storage.examples import T0
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.detectors.types import Command, moment


def command(name: str = "c1") -> Command:
    return Command(id=name, time=moment(T0), command="approve", target="act-1", actor="ana\x00")


def test_a_command_waits_until_it_is_answered(store: Store) -> None:
    store.inbox.put(command(), T0)
    store.inbox.put(command(), T0 + 1)
    assert store.inbox.waiting() == [command()]
    assert store.inbox.answer("c1") is None

    store.commit(Checkpoint(at=T0, epochs={}, answers={"c1": "done", "unknown": "x"}))

    assert store.inbox.waiting() == []
    assert store.inbox.answer("c1") == "done"
    assert store.inbox.answer("unknown") is None


def test_the_first_answer_stays(store: Store) -> None:
    store.inbox.put(command(), T0)
    store.commit(Checkpoint(at=T0, epochs={}, answers={"c1": "done"}))

    store.commit(Checkpoint(at=T0 + 1, epochs={}, answers={"c1": "refused"}))

    assert store.inbox.answer("c1") == "done"


def test_commands_are_taken_in_the_order_they_came(store: Store) -> None:
    for number, name in enumerate(("b", "a", "c")):
        store.inbox.put(command(name), T0 + number)

    assert [each.id for each in store.inbox.waiting(limit=2)] == ["b", "a"]
