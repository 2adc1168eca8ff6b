"""What the loop watches: taken up, lost, taken over by another instance, and begun anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from tests.daemon.looped import (
    KINDS,
    MODEL,
    START,
    Restart,
    World,
    drain,
    fresh,
    kept,
    requests,
    with_a_plan,
)
from watchkeeper.daemon.actions.traffic import StreamTraffic
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.storage import snapshots, tables
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint, SetAside
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySource
from watchkeeper.daemon.transport.ports import Message, Partition, Polled
from watchkeeper.detectors.types import (
    Command,
    Severity,
    moment,
)
from watchkeeper.handlers.types import (
    ActionState,
    Outcome,
    Phase,
)


def test_a_lost_state_begins_anew_from_the_record(world: World) -> None:
    loop, planned = with_a_plan(world)
    unsure = Outcome(planned.id, MODEL, Phase.INCONCLUSIVE, "?", START, "preflight")
    world.book.ended.append(unsure)
    loop.turn(0.0)
    (held,) = world.store.records.actions()
    (before,) = world.store.records.incidents(open_only=True)
    learned = loop.pipeline.state.models[MODEL].profiles
    world.store.set_aside(SetAside(MODEL, "damaged", world.now))
    crashed, anew = world.loop(Restart()), world.loop(Restart())
    crashed.turn(0.0)

    drain(anew)
    order = Command("c1", moment(START), "approve", held.id, model_name=MODEL, actor="ann")
    world.store.inbox.put(order, world.now)
    world.now += 1.0
    anew.turn(0.0)

    assert held.state is ActionState.HELD
    known = anew.pipeline.state.models[MODEL]
    assert known.incident is not None
    assert known.incident.id == before.id
    assert known.profiles == learned
    assert world.store.inbox.answer("c1") == "done: restart permitted"
    assert [each.id for each in world.store.records.incidents()] == [before.id]
    assert world.store.restore([Partition("predictions", 0)], world.now).lost == []


def changed(store: Store, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes what is stored of the model, part by part."""
    for table in (tables.states, tables.states_lasting, tables.states_references):
        with store._db.write() as connection:
            plain = snapshots.decode(connection.execute(sa.select(table.c.blob)).scalar_one())
            change(plain)
            connection.execute(sa.update(table).values(blob=snapshots.encode(plain)))


def older(plain: dict[str, Any]) -> None:
    """As a program might have written it whose states this one does not know."""
    if "layout" in plain:
        plain["layout"] = 0


def other_stamps(plain: dict[str, Any]) -> None:
    """As if each detector's state had another layout by now."""
    for name, layout in plain.get("layouts", {}).items():
        posts = msgspec.msgpack.decode(layout)
        plain["layouts"][name] = msgspec.msgpack.encode([[n, b"?", size] for n, _, size in posts])


@pytest.mark.parametrize(
    ("change", "target"), [(older, ""), (other_stamps, "detectors")], ids=["model", "detectors"]
)
def test_state_that_is_not_understood_is_a_finding(
    world: World, change: Callable[[dict[str, Any]], object], target: str
) -> None:
    world.publish(0, 1_500)
    before = world.loop()
    drain(before)
    before.checkpoint()
    changed(world.store, change)
    world.publish(1_500, 200)

    drain(loop := world.loop())
    loop.checkpoint()
    drain(again := world.loop())
    again.checkpoint()

    found = [f for f in world.store.records.findings() if f.detector == "state"]
    assert [(f.series.model, f.series.target, f.severity) for f in found] == [
        (MODEL, target, Severity.INFO)
    ]
    told = [f for step in world.book.told for f in step.findings if f.detector == "state"]
    assert [f.id for f in told] == [found[0].id]
    assert "layout" in told[0].statement
    assert found[0].statement == told[0].statement


def test_detectors_begun_anew_are_told_once_even_where_nothing_comes(world: World) -> None:
    world.publish(0, 1_500)
    before = world.loop()
    drain(before)
    before.checkpoint()
    changed(world.store, other_stamps)

    for _ in range(2):
        world.now += 60.0
        drain(loop := world.loop())
        loop.checkpoint()

    found = [f for f in world.store.records.findings() if f.detector == "state"]
    assert [f.series.target for f in found] == ["detectors"]


@pytest.mark.parametrize(
    "readable", [True, False], ids=["models are known", "models cannot be read"]
)
def test_kept_events_that_cannot_be_read_are_put_away_and_told_once(
    world: World, readable: bool
) -> None:
    world.publish(0, 600)
    before = world.loop()
    drain(before)
    before.checkpoint()
    with world.store._db.write() as connection:
        harmed = {"blob": b"not a block"} | ({} if readable else {"models": b"not a map"})
        connection.execute(sa.update(tables.kept).values(harmed))
    world.publish(600, 200)

    for _ in range(2):
        drain(loop := world.loop())
        loop.checkpoint()
        world.now += 60.0

    found = [f for f in world.store.records.findings() if f.detector == "state"]
    told = [f for step in world.book.told for f in step.findings if f.detector == "state"]
    assert [(f.series.model, f.series.target) for f in found] == [(MODEL, "kept events")] * readable
    assert [f.id for f in told] == [f.id for f in found]
    assert all(f.statement.startswith("600 events of 1 models: ") for f in found)
    back = world.store.joins({0}, world.now)
    assert (sum(map(len, back.blocks)), back.damaged) == (200, None)


def test_the_one_that_lost_its_partition_changes_nothing_more(world: World) -> None:
    world.publish(0, 600)
    world.ticks = False
    steady = world.loop()
    drain(steady)
    other = World(fresh(world), MemoryBroker({"predictions": 1}), "other", ticks=False)
    other.publish(0, 300)
    zombie, owner = other.loop(), other.loop()
    drain(zombie)
    drain(owner)
    owner.checkpoint()
    for record in world.broker.records("predictions")[300:]:
        other.send("predictions", record.value or b"", record.at)

    drain(owner)
    owner.checkpoint()
    drain(zombie)
    zombie.checkpoint()

    assert kept(other.store) == requests(600)
    assert other.dump(zombie) == other.dump(owner) == world.dump(steady)
    other.store.close()


class OfATopic(MemorySource):
    """A source that knows which topic of its name it reads, and notes which one it is to go on
    with."""

    def __init__(self, broker: MemoryBroker, topic: str) -> None:
        super().__init__(broker, list(KINDS), "one")
        self.topic = topic
        self.started: dict[Partition, tuple[int | None, str | None]] = {}

    def poll(self, timeout: float) -> Polled:
        polled = super().poll(timeout)
        return msgspec.structs.replace(polled, topics={Partition("predictions", 0): self.topic})

    def start(self, partition: Partition, offset: int | None, topic: str | None = None) -> None:
        self.started[partition] = offset, topic
        super().start(partition, offset, topic)


def test_an_offset_is_taken_up_with_the_topic_that_was_read_up_to_there(world: World) -> None:
    here, before = Partition("predictions", 0), OfATopic(world.broker, "a")
    world.publish(0, 300)
    loop = replace(world.loop(), source=before)
    drain(loop)
    before.topic = "b"  # it was made anew, and nothing came of it yet
    loop.turn(0.0)
    loop.checkpoint()

    after = OfATopic(world.broker, "b")
    replace(world.loop(), source=after).turn(0.0)

    assert before.started[here] == (None, None)
    assert after.started[here] == (300, "a")


class Member(MemorySource):
    """A member of a group that others join: it gives partitions up when told to.

    As with a broker, the poll that says so still brings records of the other partitions, and what
    was given up cannot be begun. `returning` gives it back before that is told.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker, list(KINDS), "two", max_records=97)
        self.leaving: set[Partition] = set()
        self.returning = False
        self._away: set[Partition] = set()

    def poll(self, timeout: float) -> Polled:
        gone, self.leaving = self.leaving, set()
        self._away |= gone
        for partition in gone:
            self._next.pop(partition)
            self._aligner.drop(partition)
        if self.returning:
            self._away -= gone
            self._assigned -= gone
        return msgspec.structs.replace(super().poll(timeout), revoked=tuple(gone))

    def start(self, partition: Partition, offset: int | None, topic: str | None = None) -> None:
        if partition in self._away:
            raise ValueError("Unassigned partition")
        super().start(partition, offset, topic)


def test_each_time_that_partitions_come_or_go_is_told(world: World) -> None:
    two = MemoryBroker({"predictions": 2})
    member = Member(two)
    loop = replace(world.loop(), source=member)
    for _ in range(3):
        loop.turn(0.0)
        world.now += 5.0
    member.leaving = {Partition("predictions", 1)}

    loop.turn(0.0)

    assert [at - world.now for at in world.book.rebalances] == [-15.0, 0.0]


def test_what_another_took_over_stays_with_it_and_the_rest_is_read_again(world: World) -> None:
    fraud, churn = Partition("predictions", 0), Partition("predictions", 1)
    two, world.ticks = MemoryBroker({"predictions": 2}), False
    member = Member(two)
    loop = replace(world.loop(), source=member, checkpoint_events=10_000)

    def publish(first: int, n: int) -> None:
        world.publish(first, n)
        for record in world.broker.records("predictions")[first : first + n]:
            value = record.value or b""
            other = value.replace(b'"fraud"', b'"churn"')
            two.publish(Message("predictions", b"", value), record.at, 0)
            two.publish(Message("predictions", b"", other), record.at, 1)

    publish(0, 300)
    drain(loop)
    loop.checkpoint()
    publish(300, 300)
    loop.turn(0.0)
    taken = world.store.restore([churn], world.now)
    member.leaving = {churn}

    drain(loop)
    loop.checkpoint()

    world.store.commit(Checkpoint(at=world.now, epochs=taken.epochs))
    assert loop.owns == [fraud]
    assert world.book.left == [churn]
    assert world.store.records.offsets() == {fraud: 600, churn: 300}
    assert kept(world.store) == requests(600)
    assert kept(world.store, "churn") == requests(300)
    assert list(loop.pipeline.state.models) == [MODEL]
    steady = World(fresh(world), world.broker, "steady", ticks=False)
    whole = steady.loop()
    drain(whole)
    assert world.dump(loop) == steady.dump(whole)
    steady.store.close()


@pytest.mark.parametrize("returning", [True, False], ids=["given back", "gone"])
def test_who_learns_late_that_it_was_fenced_off_hears_at_once_what_is_left(
    world: World, returning: bool
) -> None:
    two, world.ticks = MemoryBroker({"predictions": 2}), False
    member = Member(two)
    loop = replace(world.loop(), source=member, checkpoint_events=10_000)
    fraud, other = Partition("predictions", 0), Partition("predictions", 1)
    world.publish(0, 300)
    for record in world.broker.records("predictions"):
        two.publish(Message("predictions", b"", record.value or b""), record.at, 0)
    loop.turn(0.0)
    loop.turn(0.0)
    world.store.restore([fraud, other], world.now)
    member.leaving, member.returning = {fraud, other} if returning else {other}, returning

    loop.checkpoint()

    assert loop.owns == ([fraud, other] if returning else [fraud])
    assert world.book.left == ([] if returning else [other])
    drain(loop)
    loop.checkpoint()
    assert kept(world.store) == requests(300)


def acting(world: World) -> Loop:
    """A loop that has just handed an action to the executor."""
    world.publish(0, 1_500)
    world.publish(1_500, 1_500, failing=0.3)
    drain(loop := world.loop(Restart()))
    loop.checkpoint()
    assert [each.state for each in world.book.submitted] == [ActionState.PLANNED]
    return loop


def test_what_is_held_is_taken_up_anew_once_no_action_is_under_way(world: World) -> None:
    loop, done = acting(world), list[str]()
    (action,) = world.book.submitted

    loop.take_up_anew(lambda: done.append("anew"))
    loop.turn(0.0)
    before = list(done)
    world.book.ended.append(Outcome(action.id, MODEL, Phase.FAILED, "?", START, "preflight"))
    loop.turn(0.0)
    loop.turn(0.0)

    assert (before, done) == ([], ["anew"])
    assert MODEL in loop.pipeline.state.models


def test_an_action_that_does_not_end_keeps_nothing_from_being_taken_up_anew(world: World) -> None:
    loop, done = acting(world), list[str]()
    versions = StreamTraffic(loop.pipeline.state)

    loop.take_up_anew(lambda: done.extend(versions.known_versions(MODEL)))
    loop.turn(0.0)
    world.now += 301.0
    loop.turn(0.0)

    assert done == ["1"]  # whoever is acting sees what was there before
    assert loop.pipeline.state.left == {}
