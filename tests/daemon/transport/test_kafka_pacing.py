"""Dear records are handed out few at a time, cheap ones many, and all of them in order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.daemon.looped import KINDS, World, prediction
from tests.daemon.transport.contract import WAIT_S
from tests.daemon.transport.onkafka import publish, settings_for, source_of, topic_of
from tests.services.brokers import Broker
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.daemon.transport.kafka import KafkaSource
from watchkeeper.daemon.transport.pacing import FEW, LONG_S

pytestmark = pytest.mark.service

EACH_S = 0.005
COUNT = 6_000
MOST_TURNS = 500  # the first ones may have kernels compiled


@dataclass
class Work:
    """What records cost, by a clock that only they move."""

    each_s: float
    now: float = 0.0
    turns: list[float] = field(default_factory=list)

    def on(self, count: int) -> None:
        self.now += self.each_s * count
        self.turns.append(self.each_s * count)


def polls(source: KafkaSource, work: Work, count: int) -> Iterator[list[bytes]]:
    """What polls bring until that many have come, each worked on before the next."""
    until, left = time.monotonic() + WAIT_S, count
    while left > 0:
        assert time.monotonic() < until
        polled = source.poll(0.2)
        for partition in polled.assigned:
            source.start(partition, None)
        if records := list(polled.records):
            left -= len(records)
            work.on(len(records))
            yield [record.value or b"" for record in records]


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "records"])
def test_a_slow_consumer_gets_few_and_a_quick_one_all(kafka: Broker, batches: bool) -> None:
    settings = settings_for(kafka, batches=batches)
    topic = topic_of(settings)
    values = [b"%05d" % n for n in range(3 * COUNT)]
    publish(settings, topic, values)
    work = Work(EACH_S)

    with source_of(settings, topic, steady=lambda: work.now) as source:
        dear = list(polls(source, work, COUNT))
        work.each_s = 1e-9
        cheap = list(polls(source, work, 3 * COUNT - sum(map(len, dear))))

    assert [value for each in (*dear, *cheap) for value in each] == values
    assert max(map(len, dear)) * EACH_S <= LONG_S
    assert max(map(len, cheap)) > FEW


class Dear(Pipeline):
    """A core in which each event takes long."""

    def __init__(self, pipeline: Pipeline, work: Work) -> None:
        super().__init__(pipeline.state, pipeline.rules, pipeline.handlers)
        self.work = work

    def step(self, batch: Batch) -> Step:
        self.work.on(sum(map(len, batch.frames)))
        return super().step(batch)


def test_no_turn_of_the_loop_lasts_long_although_each_event_does(
    kafka: Broker, world: World
) -> None:
    settings = settings_for(kafka)
    topic = topic_of(settings)
    publish(settings, topic, [prediction(n) for n in range(COUNT)])
    work = Work(EACH_S)

    with source_of(settings, topic, steady=lambda: work.now) as source:
        loop = world.loop(source=source, kinds=KINDS | {topic: "prediction"})
        loop.pipeline = Dear(loop.pipeline, work)
        for _ in range(MOST_TURNS):
            if work.now >= EACH_S * (COUNT - 0.5):
                break
            loop.turn(0.2)
        loop.checkpoint()

    assert max(work.turns) <= LONG_S
    assert sum(len(frame) for frame in world.store.captured("fraud")) == COUNT
