"""Checkpoints that are begun, and written, where the loop has nothing better to do."""

from __future__ import annotations

import time
from concurrent.futures import wait
from dataclasses import replace

import pytest

from tests.daemon.looped import World, drain, prediction
from tests.daemon.storage.examples import finding
from watchkeeper.daemon.checkpointing import YIELD_S
from watchkeeper.daemon.committing import SOON_S
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.transport.ports import Partition

A_WHILE_S = 30.0
PLACE = Partition("predictions", 0)


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
