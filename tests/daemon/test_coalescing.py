"""A few events come together before they are taken up, while no window is about to end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.daemon.looped import World, drain, prediction
from watchkeeper.daemon.coalescing import LEAD_S, MOST_S, Coalescing
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.models import ModelSettings
from watchkeeper.daemon.config.sections import Daemon as Here
from watchkeeper.daemon.config.sections import Database, Kafka
from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource

FAR_S = 60.0


@dataclass
class Clock:
    """Time that passes by being slept, or put on by hand."""

    now: float = 1_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def coalescing(clock: Clock, count: int = 5, worked_s: float = 0.002) -> Coalescing:
    """One behind a poll that brought so many, which took so long."""
    made = Coalescing(clock, clock.sleep)
    made.polled(count)
    clock.now += worked_s
    return made


def test_events_come_together_for_as_long_as_may_be() -> None:
    assert coalescing(Clock()).left_s(FAR_S) == MOST_S


@pytest.mark.parametrize("due_s", [0.009, 0.012])
def test_it_ends_shortly_before_a_window_is_due(due_s: float) -> None:
    worked_s = 0.002

    left = coalescing(Clock(), worked_s=worked_s).left_s(due_s)

    assert left == pytest.approx(due_s - worked_s - LEAD_S)


@pytest.mark.parametrize("due_s", [0.005, 0.0, -3.0])
def test_nothing_waits_once_a_window_is_about_to_end(due_s: float) -> None:
    assert coalescing(Clock()).left_s(due_s) == 0.0


def test_nothing_waits_where_events_take_long() -> None:
    assert coalescing(Clock(), worked_s=0.006).left_s(FAR_S) == 0.0


def test_what_comes_after_a_silence_does_not_wait() -> None:
    assert Coalescing(Clock()).left_s(FAR_S) == 0.0
    assert coalescing(Clock(), count=0).left_s(FAR_S) == 0.0


def test_others_may_work_meanwhile() -> None:
    clock, lull, seen = Clock(), Lull(), []
    lull.end()
    made = coalescing(clock)
    made.lull = lull
    made.sleep = lambda seconds: seen.append((seconds, lull._here.is_set()))

    made.wait(FAR_S)
    made.wait(0.0)

    assert seen == [(MOST_S, True)]
    assert not lull._here.is_set()


def test_a_loop_waits_behind_a_few_events_and_not_before_a_window_ends(world: World) -> None:
    clock = Clock()
    loop = replace(world.loop(), coalescing=Coalescing(clock, clock.sleep))
    world.publish(0, 130)
    drain(loop)
    assert clock.slept == []
    world.send("predictions", prediction(130))
    loop.turn(0.01)
    loop.turn(0.01)
    assert clock.slept == [MOST_S]

    world.send("predictions", prediction(139.98))  # of a window that is closed 10 s after its end
    loop.turn(0.01)
    due_s = loop.pipeline.state.arrays.clocks.next_due_s()
    assert due_s == pytest.approx(0.01)
    loop.turn(0.01)

    assert clock.slept == [MOST_S, pytest.approx(due_s - LEAD_S)]
    loop.close(1.0)


def test_a_turn_that_is_not_to_wait_does_not(world: World) -> None:
    clock = Clock()
    loop = replace(world.loop(), coalescing=Coalescing(clock, clock.sleep))
    loop.turn(0.0)
    world.publish(0, 130)
    loop.turn(0.0)
    loop.turn(0.0)

    assert clock.slept == []
    loop.close(1.0)


@pytest.mark.parametrize(
    ("kafka", "models", "there"),
    [
        (Kafka(profile="low_latency"), {}, True),
        (Kafka(), {}, False),
        (Kafka(profile="low_latency"), {"m": ModelSettings(spread=True)}, False),
    ],
)
def test_only_where_brokers_answer_at_once_and_windows_end_by_what_comes_here(
    tmp_path: Path, kafka: Kafka, models: dict[str, ModelSettings], there: bool
) -> None:
    broker = MemoryBroker()
    config = Config(
        daemon=Here(state_dir=str(tmp_path)),
        kafka=kafka,
        models=models,
        database=Database(url=f"sqlite:///{tmp_path}/watchkeeper.db"),
    )
    daemon = Daemon(config, MemorySource(broker, []), MemorySink(broker))

    assert (daemon.loop.coalescing is not None) is there
    daemon.close()
