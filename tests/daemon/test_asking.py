"""What people, applications and the command line ask of the loop, and what they are answered."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.daemon.looped import START, World, drain
from watchkeeper.daemon.transport.memory import MemoryBroker
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import profile_from_columns
from watchkeeper.detectors.types import (
    Command,
    moment,
)


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
