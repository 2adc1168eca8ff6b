"""What the loop hands to the executor: on record first, once, and again where there was no room."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from tests.daemon.looped import MODEL, START, Restart, World, drain, with_a_plan
from tests.daemon.test_trouble import Cable
from tests.fakes import Crash
from tests.services.base import wait_until
from watchkeeper.daemon.actions.executor import Executor
from watchkeeper.daemon.core.guards import PENDING
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.detectors.types import (
    Command,
    moment,
)
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Outcome,
    Phase,
)


def test_every_command_and_every_deed_is_a_line_of_the_audit(world: World) -> None:
    loop, planned = with_a_plan(world)
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
