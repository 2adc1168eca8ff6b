"""The loop over topics in memory and a real database: nothing lost, nothing done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from tests.daemon.test_trouble import Cable
from tests.fakes import Crash, FakeDeployer
from tests.services.base import wait_until
from watchkeeper.daemon.actions.executor import Executor, Submitted
from watchkeeper.daemon.core.guards import PENDING
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.handing import Actor
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.reporting.metrics import Stage
from watchkeeper.daemon.storage import migrate, snapshots, tables
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint, OutboxRow, SetAside
from watchkeeper.daemon.transport.codec import Decoded
from watchkeeper.daemon.transport.kafka_repair import DataGap
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySource
from watchkeeper.daemon.transport.ports import Message, Partition, Polled
from watchkeeper.daemon.transport.quarantine import QuarantinedRange
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import profile_from_columns
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import (
    Change,
    Command,
    EventKind,
    Prediction,
    PredictionValue,
    Severity,
    moment,
)
from watchkeeper.handlers.rules import RULES
from watchkeeper.handlers.switching import move
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Handler,
    Incident,
    Mode,
    Outcome,
    Phase,
    action_id,
)

MODEL = "fraud"
START = 1_700_000_040.0
KINDS: dict[str, EventKind] = {
    "predictions": "prediction",
    "changes": "change",
    "commands": "command",
}


def prediction(
    i: int, amount: float = 50.0, *, failed: bool = False, model: str = "fraud"
) -> bytes:
    """The i-th prediction, as it is published: one comes each half second."""
    event = Prediction(
        id=f"e{i}",
        time=moment(START + 0.5 * i),
        model_name=model,
        model_version="1",
        request_id=f"r{i}",
        features={"amount": amount},
        prediction=PredictionValue(label="no", score=0.2),
        duration_s=0.05,
        status="error" if failed else "ok",
    )
    return msgspec.json.encode(event)


@dataclass
class Notebook:
    """Stands where executor and reporter stand, and writes down what it was given."""

    submitted: list[Action] = field(default_factory=list)
    told: list[Step] = field(default_factory=list)
    answers: list[Command] = field(default_factory=list)
    left: list[Partition] = field(default_factory=list)
    room: int = 100
    refused: list[Action] = field(default_factory=list)
    ended: list[Outcome] = field(default_factory=list)
    away: list[tuple[float, str]] = field(default_factory=list)

    def submit(self, action: Action) -> Submitted:
        full = len(self.submitted) >= self.room
        (self.refused if full else self.submitted).append(action)
        return Submitted.FULL if full else Submitted.ACCEPTED

    def outcomes(self) -> list[Outcome]:
        found, self.ended = self.ended, []
        return found

    def rows(self, step: Step, decoded: Decoded, at: float) -> list[OutboxRow]:
        return []

    def observe(self, step: Step, records: Records, decoded: Decoded) -> None:
        self.told.append(step)

    def stage(self, name: Stage) -> AbstractContextManager[None]:
        return nullcontext()

    def answered(self, command: Command) -> str:
        self.answers.append(command)
        return "done: answer taken"

    def committed(self) -> None:
        return None

    def released(self, partitions: Iterable[Partition]) -> None:
        self.left.extend(partitions)

    def database_away(self, seconds: float, reason: str) -> None:
        self.away.append((seconds, reason))


@dataclass
class World:
    """A broker and a database that outlive any number of loops."""

    store: Store
    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker({"predictions": 1}))
    group: str = "one"
    now: float = START + 1e8
    book: Notebook = field(default_factory=Notebook)
    ticks: bool = True

    def loop(self, *handlers: Handler, actor: Actor | None = None) -> Loop:
        policy = ModelPolicy(watches=DEFAULT_WATCHES, learn_n=200, mode=Mode.ACT)
        source = MemorySource(self.broker, list(KINDS), self.group, max_records=97)
        pipeline = Pipeline(State(lambda _: policy), RULES, handlers)
        return Loop(
            source,
            KINDS,
            pipeline,
            self.store,
            actor or self.book,
            self.book,
            lambda: self.now,
            checkpoint_s=1e9,
            checkpoint_events=150,
            ticks=self.ticks,
        )

    def publish(self, first: int, n: int, *, failing: float = 0.0) -> None:
        """Predictions, one each half second."""
        rng = np.random.default_rng(first)
        for i in range(first, first + n):
            amount, failed = float(rng.normal(50, 10)), rng.random() < failing
            self.send("predictions", prediction(i, amount, failed=failed), START + 0.5 * i)

    def send(self, topic: str, value: bytes, at: float = START) -> None:
        self.broker.publish(Message(topic, b"fraud", value), at)

    def dump(self, loop: Loop) -> bytes:
        return msgspec.msgpack.encode(loop.pipeline.state.dump("fraud"))


def drain(loop: Loop) -> None:
    """Turns until everything that is there has been read."""
    loop.turn(0.0)
    while not loop.source.caught_up():
        loop.turn(0.0)
    loop.turn(0.0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    url = f"sqlite:///{tmp_path}/w.db"
    migrate.upgrade(url)
    store = Store(url)
    yield World(store)
    store.close()


def test_what_was_read_is_committed_with_its_offsets(world: World) -> None:
    world.publish(0, 500)
    loop = world.loop()

    drain(loop)
    loop.checkpoint()

    assert world.store.records.offsets()[Partition("predictions", 0)] == 500
    assert world.store.records.models() == ["fraud"]
    assert sum(len(frame) for frame in world.store.captured("fraud")) == 500


def test_a_new_loop_goes_on_where_the_old_one_was_killed(world: World) -> None:
    world.publish(0, 1_500)
    world.publish(1_500, 1_500, failing=0.3)
    steady = world.loop()
    drain(steady)
    steady.checkpoint()
    findings = {f.id for f in world.store.records.findings()}
    incidents = world.store.records.incidents()
    assert findings
    assert len(incidents) == 1

    other = World(fresh(world), world.broker, "other")
    for turns in (3, 8, 5, 11, 2):
        killed = other.loop()
        for _ in range(turns):
            killed.turn(0.0)
    last = other.loop()
    drain(last)
    last.checkpoint()

    assert {f.id for f in other.store.records.findings()} == findings
    assert [i.id for i in other.store.records.incidents()] == [i.id for i in incidents]
    assert other.dump(last) == world.dump(steady)
    other.store.close()


def fresh(world: World) -> Store:
    """A second, empty database beside the world's."""
    folder = Path(str(world.store._db.engine.url.database)).parent
    url = f"sqlite:///{folder}/other.db"
    migrate.upgrade(url)
    return Store(url)


def test_a_bad_record_becomes_a_dead_letter_and_the_rest_goes_on(world: World) -> None:
    world.publish(0, 10)
    world.send("predictions", b'{"model_name": 7}', START + 5)
    world.publish(10, 10)
    loop = world.loop()

    drain(loop)
    loop.checkpoint()

    letters = world.store.records.dead_letters()
    assert [(each.topic, each.offset, each.reason) for each in letters] == [
        ("predictions", 10, "schema")
    ]
    assert sum(len(frame) for frame in world.store.captured("fraud")) == 20


def test_models_beyond_the_limit_are_refused_with_the_reason(world: World) -> None:
    world.publish(0, 5)
    loop = world.loop()
    loop.models_limit = 3
    drain(loop)
    for i in range(40):
        value = world.broker.records("predictions")[0].value or b""
        renamed = value.replace(b'"fraud"', b'"m%d"' % i).replace(b'"r0"', b'"x%d"' % i)
        world.send("predictions", renamed, START + 10)

    drain(loop)
    loop.checkpoint()

    assert sorted(loop.pipeline.state.models) == ["fraud", "m0", "m1"]
    reasons = [each.reason for each in world.store.records.dead_letters()]
    assert reasons == ["too_many_models"] * 38


def test_records_that_were_passed_over_are_put_on_record(world: World) -> None:
    world.publish(0, 10)
    cable = Cable(world.broker, ("predictions",))
    cable.quarantined.append(QuarantinedRange("predictions", 0, 10, 15, "CorruptRecord"))
    cable.gaps.append(DataGap("predictions", 0, 20, 30, "truncated"))
    loop = replace(world.loop(), source=cable)

    drain(loop)
    loop.checkpoint()

    letters = {each.reason: each for each in world.store.records.dead_letters()}
    assert set(letters) == {"quarantined_range", "data_gap"}
    bad = letters["quarantined_range"]
    assert (bad.topic, bad.partition, bad.offset, bad.value) == ("predictions", 0, 10, None)
    assert bad.message == "records 10 to 14 cannot be read: CorruptRecord"
    assert world.store.records.offsets()[Partition("predictions", 0)] == 10


def test_a_command_of_the_inbox_is_answered_once(world: World) -> None:
    world.publish(0, 10)
    loop = world.loop()
    drain(loop)
    order = Command(id="c1", time=moment(START), command="pause", target="fraud", actor="ann")
    world.store.inbox.put(order, world.now)

    world.now += 1.0
    loop.turn(0.0)
    loop.checkpoint()

    assert world.store.inbox.answer("c1") == "done: fraud paused"
    assert world.store.inbox.waiting() == []


def test_every_command_and_every_deed_is_a_line_of_the_audit(world: World) -> None:
    world.publish(0, 1_500)
    world.publish(1_500, 1_500, failing=0.3)
    loop = world.loop(Restart())
    drain(loop)
    loop.checkpoint()
    (planned,) = world.store.records.actions()
    pause = Command("c1", moment(START), "pause", MODEL, actor="ann", reason="not now")
    world.send("commands", msgspec.json.encode(pause), START + 1_600)
    approve = Command("c2", moment(START), "approve", "act-1", actor="ann", reason="not now")
    world.store.inbox.put(approve, world.now)
    world.now += 1.0
    world.book.ended.append(Restart().preflight(planned))
    loop.turn(0.0)
    world.now += 1.0
    world.book.ended.append(Outcome(planned.id, MODEL, Phase.SUCCESSFUL, "v1 is live", START))
    loop.turn(0.0)

    lines = [(e.actor, e.verb, e.target, e.detail) for e in world.store.records.audit()][::-1]

    assert ("ann", "pause", MODEL, "done: fraud paused (not now)") in lines
    assert ("ann", "approve", "act-1", "refused: no action act-1 (not now)") in lines
    deeds = [(actor, verb) for actor, verb, target, _ in lines if target == planned.id]
    assert deeds == [("watchkeeper", "permitted"), ("watchkeeper", "successful")]
    assert lines[-1][3] == "restart of fraud: v1 is live"


def test_a_lost_state_begins_anew_from_the_record(world: World) -> None:
    world.publish(0, 1_500)
    world.publish(1_500, 1_500, failing=0.3)
    loop = world.loop(Restart())
    drain(loop)
    loop.checkpoint()
    (planned,) = world.store.records.actions()
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


def test_nothing_is_acted_on_while_a_record_waits_too_long(world: World) -> None:
    world.publish(0, 3_000)  # they take longer to read than a record may wait
    world.publish(3_000, 1_500, failing=0.3)
    cable = Cable(world.broker, ("predictions",))
    loop = replace(world.loop(Restart()), source=cable)
    blind: list[bool] = []
    while not blind or not cable.caught_up():
        world.now += 30.0
        loop.turn(0.0)
        blind.append(loop._backlog._since is not None)
    *meanwhile, caught_up = world.book.told

    assert blind[0] is False
    assert blind[-2:] == [True, False]
    said = {each.reason for step in meanwhile for each in step.action_changes}
    assert said == {"the stream is not caught up: no action on a stale view"}
    assert [each.reason for each in caught_up.action_changes] == [PENDING]


def test_a_command_waits_for_the_instance_that_watches_its_model(world: World) -> None:
    world.publish(0, 10)
    owner, newcomer = world.loop(), World(world.store, MemoryBroker()).loop()
    drain(owner)
    owner.checkpoint()
    order = Command(id="c1", time=moment(START), command="pause", target="fraud", actor="ann")
    world.store.inbox.put(order, world.now)

    newcomer.turn(0.0)
    newcomer.checkpoint()
    left = world.store.inbox.waiting()
    world.now += 1.0
    owner.turn(0.0)
    owner.checkpoint()

    assert left == [order]
    assert world.store.inbox.answer("c1") == "done: fraud paused"


def imported(world: World, version: str) -> Profile:
    """A reference as the command line leaves it, with its command."""
    profile = profile_from_columns(
        {"amount": np.linspace(0.0, 9.0, 50)}, model="fraud", version=version
    )
    world.store.registry.put_profile(profile, world.now)
    order = {"id": f"p{version}", "time": moment(START), "command": "profile", "target": "fraud"}
    world.store.inbox.put(msgspec.convert(order, Command), world.now)
    return profile


def test_an_imported_reference_is_taken_up_while_the_daemon_runs(world: World) -> None:
    world.publish(0, 300)
    loop = world.loop()
    drain(loop)
    learned = loop.pipeline.state.models["fraud"].profiles["1"]
    profile = imported(world, "1")

    world.now += 1.0
    loop.turn(0.0)
    loop.checkpoint()

    assert learned.source == "learned"
    assert loop.pipeline.state.models["fraud"].profiles["1"] == profile
    assert world.store.registry.profiles("fraud") == [profile]
    answer = "done: fraud is compared with the imported reference of 1"
    assert world.store.inbox.answer("p1") == answer
    again = world.loop()
    drain(again)
    assert again.pipeline.state.models["fraud"].profiles["1"] == profile


def test_what_is_learned_meanwhile_does_not_replace_what_was_imported(world: World) -> None:
    world.publish(0, 190)
    loop = world.loop()
    drain(loop)
    loop.checkpoint()
    profile = imported(world, "1")

    world.publish(190, 60)
    loop.turn(0.0)
    loop.turn(0.0)
    loop.checkpoint()

    assert loop.pipeline.state.models["fraud"].profiles["1"].source == "learned"
    assert world.store.registry.profiles("fraud") == [profile]


@pytest.mark.parametrize("crash_at", [0, 150, 260, 420])
def test_a_reference_is_learned_anew_over_a_crash(world: World, crash_at: int) -> None:
    world.publish(0, 300)
    loop = world.loop()
    drain(loop)
    loop.checkpoint()
    (old,) = world.store.registry.profiles("fraud")
    order = {"id": "r1", "time": moment(START), "command": "rebaseline", "target": "fraud"}
    world.store.inbox.put(msgspec.convert({**order, "actor": "ann"}, Command), world.now)
    world.now += 1.0
    loop.turn(0.0)
    loop.checkpoint()

    world.publish(300, crash_at)
    drain(loop)
    loop.checkpoint()
    world.publish(300 + crash_at, 900 - crash_at)
    again = world.loop()  # the other one is not asked to stop
    drain(again)
    again.checkpoint()

    assert world.store.inbox.answer("r1") == (
        "done: 1: its reference is learned anew from its next 200 predictions"
    )
    (new,) = world.store.registry.profiles("fraud")
    assert again.pipeline.state.models["fraud"].profiles["1"] == new
    assert (new.n, new.since) == (200, old.since + 300 * 0.5)
    done = [e for e in world.store.records.audit() if e.verb == "rebaselined"]
    assert [(e.actor, e.target) for e in done] == [("watchkeeper", "fraud")]
    assert done[0].detail.endswith("asked for by ann")


def test_a_reference_may_be_imported_before_its_model_is_seen(world: World) -> None:
    loop = world.loop()
    profile = imported(world, "1")
    loop.turn(0.0)
    loop.checkpoint()

    world.publish(0, 300)
    drain(loop)
    loop.checkpoint()

    assert world.store.inbox.answer("p1") == "done: kept for the first event of fraud"
    assert loop.pipeline.state.models["fraud"].profiles == {"1": profile}


def test_an_applications_answer_goes_to_who_asked(world: World) -> None:
    answer = Command(
        id="a1", time=moment(START), command="outcome", target="act-1", args={"phase": "successful"}
    )
    world.send("commands", msgspec.json.encode(answer))

    drain(world.loop())

    assert [each.target for each in world.book.answers] == ["act-1"]


def test_what_went_live_is_recorded_with_the_offset_it_came_from(world: World) -> None:
    world.publish(0, 10)
    for n, (kind, version) in enumerate([("deployment", "1"), ("rollback", "0")]):
        said = {"id": f"c{n}", "time": moment(START + n), "model_name": "fraud"}
        change = msgspec.convert({**said, "kind": kind, "model_version": version}, Change)
        world.send("changes", msgspec.json.encode(change), START + n)
    killed, loop = world.loop(), world.loop()
    drain(killed)
    drain(loop)
    before = world.store.registry.deployments("fraud")

    loop.checkpoint()

    assert before == []
    assert [each.version for each in world.store.registry.deployments("fraud")] == ["1", "0"]
    assert world.store.registry.live_at("fraud", START + 0.5) == "1"
    assert world.store.records.offsets()[Partition("changes", 0)] == 2
    assert world.store.records.models() == ["fraud"]


def kept(store: Store, model: str = MODEL) -> list[str]:
    """The requests on record, each as often as it was kept."""
    return sorted(i for frame in store.captured(model) for i in frame.request_id.tolist())


def requests(n: int) -> list[str]:
    return sorted(f"r{i}" for i in range(n))


def act(loop: Loop) -> Action:
    """Turns until the model's action has ended well."""

    def ended() -> Action | None:
        loop.turn(0.0)
        models = loop.pipeline.state.models.values()
        known = [a for model in models for a in model.actions.values()]
        return next((a for a in known if a.state is ActionState.SUCCESSFUL), None)

    return wait_until(ended, 20.0, "an action that ended well")


def test_a_crash_between_outcome_and_commit_switches_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(0, 1_500)
    world.publish(1_500, 1_500, failing=0.3)
    restart = Restart()
    hands = Executor({"restart": restart}, world.store.claims("me"))
    loop = world.loop(restart, actor=hands)
    commit = world.store.commit

    def killed(checkpoint: Checkpoint) -> None:
        if any(each.state is ActionState.SUCCESSFUL for each in checkpoint.actions):
            raise Crash
        commit(checkpoint)

    monkeypatch.setattr(world.store, "commit", killed)
    with pytest.raises(Crash):
        act(loop)
    assert hands.outcomes() == []
    (left,) = world.store.records.actions()
    monkeypatch.undo()
    successor = Executor({"restart": restart}, world.store.claims("me"))

    act(world.loop(restart, actor=successor))

    assert left.state is ActionState.STARTED
    assert restart.deployer.switches == ["v1"]
    (ended,) = world.store.records.actions()
    assert (ended.state, ended.reason) == (ActionState.SUCCESSFUL, "v1 is already live")
    verbs = [e.verb for e in world.store.records.audit()[::-1] if e.target == left.id]
    assert verbs == ["permitted", "started", "started", "successful"]


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

    def start(self, partition: Partition, offset: int | None) -> None:
        if partition in self._away:
            raise ValueError("Unassigned partition")
        super().start(partition, offset)


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


@dataclass
class Restart:
    """Plans one action an incident, which a person or no guard has to object to."""

    deployer: FakeDeployer = field(default_factory=FakeDeployer)
    name: ClassVar[str] = "restart"
    undoable: ClassVar[bool] = False

    def plan(self, incident: Incident, context: Context) -> Action | None:
        return Action(
            id=action_id(incident.id, self.name, 1),
            incident_id=incident.id,
            model=incident.model,
            kind=self.name,
            state=ActionState.PLANNED,
            planned_at=context.now,
            updated_at=context.now,
            summary="start v1 instead",
        )

    def preflight(self, action: Action) -> Outcome:
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "fit", START, "preflight")

    def run(self, action: Action) -> Outcome:
        return move(self.deployer, action, "v2", "v1", step="run", at=START)

    def undo(self, action: Action) -> Outcome:
        return move(self.deployer, action, "v1", "v2", step="undo", at=START)


def test_what_the_executor_has_no_room_for_is_offered_again(world: World) -> None:
    world.publish(0, 1_500)
    world.publish(1_500, 1_500, failing=0.3)
    world.book.room = 0
    loop = world.loop(Restart())
    drain(loop)
    loop.checkpoint()
    refused = len(world.book.refused)
    assert refused
    assert world.book.submitted == []

    world.book.room = 1
    loop.turn(0.0)
    loop.turn(0.0)

    (given,) = world.book.submitted
    assert given == world.store.records.actions()[0]
    assert len(world.book.refused) == refused


def test_a_database_outage_is_waited_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publish(0, 100)
    loop = world.loop()
    drain(loop)
    commit, failures = world.store.commit, [DatabaseDown("away"), DatabaseDown("away")]

    def flaky(checkpoint: Checkpoint) -> None:
        if failures:
            raise failures.pop()
        commit(checkpoint)

    monkeypatch.setattr(world.store, "commit", flaky)
    world.publish(100, 100)
    drain(loop)
    loop.checkpoint()

    assert failures == []
    assert world.store.records.offsets()[Partition("predictions", 0)] == 200


@pytest.mark.parametrize(("size", "committed"), [(1_000, None), (400_000, 90)])
def test_large_bad_records_do_not_gather_in_memory(
    world: World, size: int, committed: int | None
) -> None:
    bad = b"x" * size
    for _ in range(90):
        world.send("predictions", bad)
    loop = world.loop()
    loop.turn(0.0)

    loop.turn(0.0)

    assert world.store.records.offsets()[Partition("predictions", 0)] == committed
    assert loop._pending.refused_bytes == (0 if committed else 90 * (size + len(b"fraud")))


def test_no_time_passes_while_the_source_is_cut_off(world: World) -> None:
    loop = world.loop()
    world.publish(0, 50)
    drain(loop)
    ticked = loop.pipeline.state.models["fraud"].last_tick
    loop._trouble.text = "broker away"

    world.now += 10.0
    loop.turn(0.0)
    assert loop.pipeline.state.models["fraud"].last_tick == ticked

    loop._trouble.text = ""
    loop.turn(0.0)
    assert loop.pipeline.state.models["fraud"].last_tick == world.now


def test_a_wall_clock_set_back_stops_nothing(world: World) -> None:
    steady = [0.0]
    loop = world.loop()
    loop.checkpoint_s = 1.0
    loop._steady = lambda: steady[0]
    world.publish(0, 50)
    drain(loop)

    world.now -= 3_600.0
    steady[0] += 600.0
    world.publish(50, 50)
    drain(loop)

    assert world.store.records.offsets()[Partition("predictions", 0)] == 100
