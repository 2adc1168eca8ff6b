"""The loop over topics in memory and a real database: nothing lost, nothing done twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.daemon.looped import START, World, drain, fresh
from tests.daemon.storage.examples import letter
from tests.daemon.test_trouble import Cable
from tests.detectors.arrays.test_room import resident_mb
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.daemon.transport.kafka_repair import DataGap
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.quarantine import QuarantinedRange
from watchkeeper.detectors.types import (
    Change,
    moment,
)


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


@pytest.mark.parametrize("what", ["nothing", "dead letter", "message"])
def test_the_senders_are_woken_as_soon_as_something_waits_for_them(world: World, what: str) -> None:
    loop = world.loop()
    loop.turn(0.0)
    world.publish(0, 10)
    if what == "dead letter":
        world.send("predictions", b"{")
    elif what == "message":
        world.book.messages.append(letter())
    drain(loop)
    assert world.book.woken == 0  # it is not in the outbox yet

    loop.checkpoint()

    assert world.store.records.offsets()[Partition("predictions", 0)] is not None
    assert world.book.woken == (0 if what == "nothing" else 1)


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
    assert bad.message == "records 10 to 14, 5 at most, cannot be read: CorruptRecord"
    assert world.store.records.offsets()[Partition("predictions", 0)] == 10


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
    waiting = loop._committing.pending.refused_bytes
    assert waiting == 0 if committed else waiting > 90 * size


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


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_a_checkpoint_gives_the_memory_of_closed_windows_back(world: World) -> None:
    loop = world.loop()
    world.publish(0, 50)
    drain(loop)
    loop.checkpoint()
    closed = loop.pipeline.state.arrays.ledger.tables.of(None).tally.small
    size = sum(array[:1].nbytes for array in closed.arrays.values())
    rows = closed.claim(64 * 2**20 // size)
    for array in closed.arrays.values():
        array[rows] = 1
    closed.release(rows)
    before = resident_mb()

    world.publish(50, 50)
    drain(loop)
    loop.checkpoint()

    assert before - resident_mb() > 48


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
