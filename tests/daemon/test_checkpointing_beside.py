"""Checkpoints that are written while the loop reads on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from tests.daemon.looped import MODEL, World, drain
from tests.services.base import wait_until
from watchkeeper.daemon import checkpointing
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint, Fenced
from watchkeeper.daemon.transport.ports import Partition

PLACE = Partition("predictions", 0)
A_WHILE_S = 30.0


@dataclass
class Gate:
    """A database that takes its time: each commit waits until it is let through."""

    store: Store
    open: threading.Event = field(default_factory=threading.Event)
    begun: list[Checkpoint] = field(default_factory=list)
    written: list[Checkpoint] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._commit = self.store.commit
        self.store.commit = self.commit  # type: ignore[method-assign]

    def commit(self, checkpoint: Checkpoint) -> None:
        self.begun.append(checkpoint)
        assert self.open.wait(A_WHILE_S)
        if self.failures:
            raise self.failures.pop()
        self._commit(checkpoint)
        self.written.append(checkpoint)

    def wait_begun(self, count: int) -> None:
        wait_until(lambda: len(self.begun) >= count, A_WHILE_S, "a commit")


@pytest.fixture
def gate(world: World) -> Iterator[Gate]:
    gate = Gate(world.store)
    yield gate
    gate.open.set()


def reading(world: World) -> Loop:
    """A loop whose first checkpoint is behind it, so that the next one comes by the events."""
    loop = replace(world.loop(), beside=True, steady=None)
    loop.turn(0.0)
    return loop


def test_the_loop_reads_on_while_a_checkpoint_is_written(world: World, gate: Gate) -> None:
    loop = reading(world)
    world.publish(0, 600)
    drain(loop)
    gate.wait_begun(1)

    assert gate.written == []
    assert world.store.records.offsets()[PLACE] is None
    assert loop.source.lag()[PLACE] == 0
    held = loop._committing.pending.events
    assert held == 600 - (gate.begun[0].offsets[PLACE] or 0)

    gate.open.set()
    loop.checkpoint()
    assert [each.offsets[PLACE] for each in gate.written] == [gate.begun[0].offsets[PLACE], 600]
    assert world.store.records.offsets()[PLACE] == 600
    loop.close(1.0)


def test_never_are_two_written_at_once_nor_out_of_order(world: World, gate: Gate) -> None:
    loop = reading(world)
    for n in range(8):
        world.publish(n * 200, 200)
        drain(loop)
        gate.wait_begun(1)
        assert len(gate.begun) - len(gate.written) == 1
    gate.open.set()
    loop.checkpoint()

    ends = [each.offsets[PLACE] or 0 for each in gate.written]
    assert len(ends) > 1
    assert ends == sorted(ends)
    assert ends[-1] == 1_600
    loop.close(1.0)


def test_what_is_planned_is_done_only_once_it_is_written(world: World, gate: Gate) -> None:
    loop = reading(world)
    world.publish(0, 1_500)
    gate.open.set()
    drain(loop)
    loop.checkpoint()
    gate.open.clear()
    submitted = len(world.book.submitted)
    world.publish(1_500, 1_500, failing=0.3)
    turned = threading.Thread(target=drain, args=(loop,))
    turned.start()
    model = loop.pipeline.state.models[MODEL]
    wait_until(lambda: model.incident is not None, A_WHILE_S, "an incident")

    assert len(world.book.submitted) == submitted
    assert not world.store.records.incidents()
    assert turned.is_alive()  # an incident is not put off, and the loop waits for it

    gate.open.set()
    turned.join(A_WHILE_S)
    loop.checkpoint()
    assert world.store.records.incidents()
    loop.close(1.0)


def test_an_outage_is_waited_out_and_nothing_read_meanwhile(world: World, gate: Gate) -> None:
    loop = reading(world)
    gate.failures += [DatabaseDown("still away"), DatabaseDown("away")]
    world.publish(0, 300)
    drain(loop)
    gate.wait_begun(1)
    gate.open.set()

    loop.checkpoint()

    assert gate.failures == []
    assert [reason for _, reason in world.book.away] == ["still away", ""]
    assert world.store.records.offsets()[PLACE] == 300
    loop.close(1.0)


def test_who_was_fenced_off_meanwhile_makes_nothing_true(world: World, gate: Gate) -> None:
    loop = reading(world)
    world.publish(0, 300)
    drain(loop)
    gate.wait_begun(1)
    (other,) = world.store.restore([PLACE], world.now).epochs.values()
    gate.open.set()
    wait_until(lambda: fenced(loop), A_WHILE_S, "the commit to fail")

    loop.turn(0.0)

    assert gate.written == []
    assert loop._holdings.epochs[PLACE] > other  # begun anew: it is still its own
    drain(loop)
    loop.checkpoint()
    assert world.store.records.offsets()[PLACE] == 300
    assert sum(len(frame) for frame in world.store.captured(MODEL)) == 300
    loop.close(1.0)


def fenced(loop: Loop) -> bool:
    writing = loop._committing._checkpoints._writing
    return writing is not None and isinstance(writing.done.exception(A_WHILE_S), Fenced)


def test_what_hangs_is_waited_for(world: World, gate: Gate) -> None:
    steady = [0.0]
    loop = replace(world.loop(), beside=True, steady=lambda: steady[0])
    loop.turn(0.0)
    world.publish(0, 300)
    drain(loop)
    gate.wait_begun(1)
    steady[0] += 60.0

    turning = threading.Thread(target=loop.turn, args=(0.0,))
    turning.start()
    turning.join(0.3)
    assert turning.is_alive()

    gate.open.set()
    turning.join(A_WHILE_S)
    assert not turning.is_alive()
    assert len(gate.written) == 1
    loop.close(1.0)


def test_a_stop_does_not_wait_long_for_what_hangs(
    world: World, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "LAST_S", 0.3)
    loop = reading(world)
    world.publish(0, 300)
    drain(loop)
    gate.wait_begun(1)

    loop.stopping.set()
    with pytest.raises(DatabaseDown, match="has not been written"):
        loop.checkpoint()
    loop.close(0.1)

    (writer,) = [each for each in threading.enumerate() if each.name == "checkpoint"]
    assert writer.daemon  # the process ends without it
    assert gate.written == []
    gate.open.set()
    writer.join(A_WHILE_S)


def test_closing_waits_for_what_is_being_written(world: World, gate: Gate) -> None:
    loop = reading(world)
    world.publish(0, 300)
    drain(loop)
    gate.wait_begun(1)
    threading.Timer(0.2, gate.open.set).start()

    loop.close(A_WHILE_S)

    assert len(gate.written) == 1
