"""Checkpoints that are written while the loop reads on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from dataclasses import dataclass, field, replace

import pytest

from tests.daemon.looped import MODEL, World, drain, prediction
from tests.daemon.storage.examples import finding
from tests.services.base import wait_until
from watchkeeper.daemon import checkpointing
from watchkeeper.daemon.checkpointing import (
    FURTHEST,
    LONGEST_BEHIND_S,
    LONGEST_S,
    MOST_WHOLE,
    YIELD_S,
    Checkpoints,
)
from watchkeeper.daemon.committing import SOON_S
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.patience import Patience
from watchkeeper.daemon.pending import Pending
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


def held_up(world: World) -> Loop:
    """A loop that never says that it has nothing to do."""
    lull = Lull(held_s=A_WHILE_S)
    world.store._pause = lull.pause
    loop = replace(world.loop(), beside=True, steady=None, lull=lull)
    loop.turn(0.0)
    lull.end()
    return loop


def test_what_is_written_beside_waits_for_a_lull(world: World) -> None:
    loop = held_up(world)
    assert loop.lull is not None
    world.publish(0, 300)
    drain(loop)
    writing = loop._committing._checkpoints._writing
    assert writing is not None
    assert not wait([writing.done], 0.2).done

    loop.lull.begin()

    assert wait([writing.done], A_WHILE_S).done
    loop.close(1.0)


def test_a_loop_that_waits_for_what_is_written_does_not_hold_it_up(world: World) -> None:
    loop = held_up(world)
    world.publish(0, 300)
    drain(loop)

    began = time.monotonic()
    loop.checkpoint()

    assert time.monotonic() - began < A_WHILE_S / 2
    assert world.store.records.offsets()[PLACE] == 300
    loop.close(1.0)


def test_none_is_begun_right_before_a_window_ends_where_latency_counts(world: World) -> None:
    now = [1_000.0]
    loop = replace(world.loop(), beside=True, steady=lambda: now[0], lull=Lull())
    loop.checkpoint_events = 1_000_000
    world.publish(0, 130)
    world.send("predictions", prediction(139.98))  # of a window that is closed 10 s after its end
    drain(loop)
    assert 0.0 < loop.pipeline.state.arrays.clocks.next_due_s() < SOON_S

    loop.checkpoint_events = 1
    loop.turn(0.0)
    assert loop._committing._checkpoints._writing is None
    now[0] += YIELD_S
    loop.turn(0.0)

    assert loop._committing._checkpoints._writing is not None
    loop.checkpoint()
    assert world.store.records.offsets()[PLACE] == 131
    loop.close(1.0)


def test_none_is_begun_in_a_turn_that_found_something_where_latency_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = replace(world.loop(), beside=True, steady=lambda: 1_000.0, lull=Lull())
    loop.checkpoint_events = 1_000_000
    loop.turn(0.0)
    world.publish(0, 130)
    drain(loop)
    assert loop.pipeline.state.arrays.clocks.next_due_s() > SOON_S
    look = loop.pipeline.step

    def find(batch: Batch) -> Step:
        step = look(batch)
        step.findings.append(finding())
        return step

    loop.checkpoint_events = 1
    with monkeypatch.context() as odd:
        odd.setattr(loop.pipeline, "step", find)
        loop.turn(0.0)
    assert loop._committing._checkpoints._writing is None
    loop.turn(0.0)

    assert loop._committing._checkpoints._writing is not None
    loop.checkpoint()
    assert [each.id for each in world.store.records.findings()] == [finding().id]
    loop.close(1.0)


def test_none_waits_for_the_end_of_a_window_that_is_far_off(world: World) -> None:
    loop = replace(world.loop(), beside=True, steady=lambda: 1_000.0, lull=Lull())
    loop.turn(0.0)
    world.publish(0, 300)

    drain(loop)
    loop.close(A_WHILE_S)

    assert world.store.records.offsets()[PLACE] is not None


NOTHING = Checkpoint(at=0.0, epochs={})


@dataclass
class Priced:
    """Checkpoints that cost so much of a core to build and to write, and take so long to write."""

    build_s: float = 0.0
    write_s: float = 0.0
    takes_s: float = 0.0
    now: float = 1_000.0
    used: float = 0.0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        patience = Patience(threading.Event(), lambda _: None, lambda *_: None, 1.0)
        self.points = Checkpoints(
            self.commit, patience, lambda: self.now, beside=True, spent=self.spent
        )

    def commit(self, checkpoint: Checkpoint) -> None:
        self.used += self.write_s
        self.now += self.takes_s

    def spent(self) -> float:
        self.asked.append(threading.current_thread().name)
        return self.used

    def make_one(self, beside: bool = False) -> None:
        self.points.begin()
        self.used += self.build_s
        if beside:
            self.points.write_beside(Pending(), NOTHING)
            assert self.points.written(now=True) is not None
        else:
            self.points.write(NOTHING)

    def due_after(self, seconds: float, events: int = 1_000_000) -> bool:
        """Whether another one is due so long after the last one was begun."""
        self.now = 1_000.0 + seconds
        return self.points.due(Pending(events=events), 1.0, 5_000)


@pytest.mark.parametrize("beside", [False, True])
def test_what_one_cost_of_a_core_puts_the_next_one_off(beside: bool) -> None:
    priced = Priced(build_s=0.4, write_s=0.8, takes_s=0.9)
    priced.make_one(beside)

    assert not priced.due_after(29.9)
    assert priced.due_after(30.1)


@pytest.mark.parametrize(("gathered_s", "rest_s"), [(0.0, 20.0), (0.15, 32.0), (5.0, 40.0)])
def test_to_gather_events_takes_its_part_of_the_share(gathered_s: float, rest_s: float) -> None:
    priced = Priced(build_s=0.4, write_s=0.4)
    priced.make_one()
    with priced.points.gathering():
        priced.used += gathered_s
    priced.now += 10.0

    priced.make_one()

    assert not priced.due_after(10.0 + rest_s - 0.1)
    assert priced.due_after(10.0 + rest_s + 0.1)


def test_each_thread_is_asked_for_its_own_time() -> None:
    priced = Priced(build_s=0.4, write_s=0.8)
    priced.make_one(beside=True)

    assert priced.asked == ["MainThread", "MainThread", "checkpoint", "checkpoint"]


def test_a_slow_write_that_cost_little_puts_the_next_one_off_for_a_little() -> None:
    slow, stuck = Priced(write_s=0.01, takes_s=0.5), Priced(write_s=0.01, takes_s=100.0)
    slow.make_one(beside=True)
    stuck.make_one(beside=True)

    assert not slow.due_after(0.9)
    assert slow.due_after(1.1)
    assert not stuck.due_after(LONGEST_S - 0.1)
    assert stuck.due_after(LONGEST_S + 0.1)


def test_no_cost_puts_one_off_for_ever_nor_memory_grow() -> None:
    priced = Priced(build_s=50.0, write_s=100.0)
    priced.make_one()

    assert not priced.due_after(LONGEST_BEHIND_S - 0.1)
    assert priced.due_after(LONGEST_BEHIND_S + 0.1)
    assert not priced.due_after(1.0, events=FURTHEST * 5_000 - 1)
    assert priced.due_after(1.0, events=FURTHEST * 5_000)


def test_a_dear_one_puts_the_next_one_off_for_longer_only_behind_a_backlog() -> None:
    priced = Priced(build_s=50.0, write_s=100.0)
    priced.make_one()

    assert not priced.due_after(LONGEST_S - 0.1, events=400_000)
    assert priced.due_after(LONGEST_S + 0.1, events=400_000)


def test_time_without_anything_to_make_true_is_rest() -> None:
    priced = Priced(build_s=1.0, write_s=1.0)
    priced.make_one()

    priced.now += LONGEST_BEHIND_S
    priced.points.rested()

    assert not priced.due_after(LONGEST_BEHIND_S + 0.9, events=1)
    assert priced.due_after(LONGEST_BEHIND_S + 1.1, events=1)


def test_events_kept_whole_wait_in_bounded_number() -> None:
    priced, pending = Priced(build_s=1.0, write_s=1.0), Pending(events=1)
    priced.make_one()

    pending.keeping.whole = MOST_WHOLE - 1
    assert not priced.points.due(pending, 1.0, 5_000)
    pending.keeping.whole = MOST_WHOLE
    assert priced.points.due(pending, 1.0, 5_000)
