"""What the loop's reporter counts, passes on and tells."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tests.daemon.storage.examples import T0, action, incident
from watchkeeper.daemon.core.counting import Counted, Counts
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State, share_of
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.reporting.announce import Audience
from watchkeeper.daemon.reporting.metrics import Metrics
from watchkeeper.daemon.reporting.reporter import StepReporter
from watchkeeper.daemon.transport.codec import DeadLetter, Decoded, Reason, decode
from watchkeeper.daemon.transport.codec.deadletter import UNREAD
from watchkeeper.daemon.transport.ports import Partition, Record
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.types import Command, moment

P = Partition("predictions", 0)
BAD = Record("predictions", 0, 7, T0, b"fraud", b"{")


@dataclass
class World:
    """Everything around a reporter."""

    woken: int = 0
    answers: list[Command] = field(default_factory=list)
    metrics: Metrics = field(default_factory=lambda: Metrics("1"))
    state: State = field(default_factory=lambda: State(lambda model: ModelPolicy()))

    def wake(self) -> None:
        self.woken += 1

    def answer(self, command: Command) -> str:
        self.answers.append(command)
        return "done: answer taken"

    def reporter(self) -> StepReporter:
        return StepReporter(
            self.state, Audience(), self.metrics, lambda: {P: 3}, self.wake, self.answer, lambda: T0
        )

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def world() -> World:
    return World()


def refused() -> Decoded:
    return decode([BAD], {"predictions": "prediction"}, now=T0)


def opened() -> Step:
    step = Step()
    step.note("fraud", [action()], None, incident())
    return step


def test_a_step_in_which_nothing_happened_is_worth_no_message(world: World) -> None:
    assert world.reporter().rows(Step(), Decoded([], [], []), T0) == []


def test_a_refused_record_is_told_and_counted(world: World) -> None:
    reporter, decoded = world.reporter(), refused()

    (row,) = reporter.rows(Step(), decoded, T0)
    with capture_logs() as said:
        reporter.observe(Step(), Records.of([BAD]), decoded)

    assert row.channel == "dlq"
    reason = {"topic": "predictions", "reason": "syntax"}
    assert world.value("watchkeeper_dead_letters_total", **reason) == 1
    assert world.value("watchkeeper_events_total", topic="predictions") == 1
    assert [each["event"] for each in said] == ["records refused"]


def test_an_incident_and_an_action_are_one_message_a_topic_and_one_line_each(
    world: World,
) -> None:
    world.state.model("fraud")
    reporter, step = world.reporter(), opened()

    rows = reporter.rows(step, Decoded([], [], []), T0)
    with capture_logs() as said:
        reporter.observe(step, Records.of([]), Decoded([], [], []))

    assert len(rows) == len({row.topic for row in rows}) == 4
    assert [each["event"] for each in said] == ["incident", "action"]
    assert said[0]["id"] == incident().id


def test_the_lag_of_partitions_that_left_is_forgotten(world: World) -> None:
    reporter = world.reporter()
    lag = {"topic": P.topic, "partition": "0"}
    reporter.observe(Step(), Records.of([]), Decoded([], [], []))
    assert world.value("watchkeeper_consumer_lag_records", **lag) == 3

    reporter.released([P, Partition("never read", 1)])

    assert world.value("watchkeeper_consumer_lag_records", **lag) is None


def test_a_stage_is_measured_and_known_while_it_lasts(world: World) -> None:
    reporter = world.reporter()

    with reporter.stage("poll"):
        during = reporter.busy_since()
    with reporter.stage("commit"):
        committing = reporter.busy_since()

    assert during is not None
    assert committing is None
    assert reporter.busy_since() is None
    spent = "watchkeeper_stage_duration_seconds_count"
    assert world.value(spent, stage="poll") == world.value(spent, stage="commit") == 1


def test_answers_and_wakings_are_passed_on(world: World) -> None:
    reporter = world.reporter()
    command = Command(id="a", time=moment(T0), command="outcome", target="act-1")

    said = reporter.answered(command)
    reporter.committed()

    assert said == "done: answer taken"
    assert world.answers == [command]
    assert world.woken == 1


def test_progress_is_that_of_the_slowest_model_that_is_still_watched(world: World) -> None:
    reporter, clocks = world.reporter(), world.state.arrays.clocks
    for name, newest in (("fraud", T0 - 5), ("churn", T0 - 60), ("unseen", -np.inf)):
        row = world.state.model(name).row
        clocks.arrays["newest"][row] = newest
    mark = "watchkeeper_watermark_timestamp_seconds"
    reporter.observe(Step(), Records.of([BAD]), Decoded([], [], []))
    assert world.value(mark) == T0 - 60

    world.state.forget(["churn"])
    reporter.observe(Step(), Records.of([BAD]), Decoded([], [], []))

    assert world.value(mark) == T0 - 5


def test_a_topic_is_as_far_behind_as_its_newest_record(world: World) -> None:
    world.state.model("fraud")
    world.state.arrays.clocks.arrays["newest"][0] = T0
    read = [replace(BAD, partition=number, at=T0 - age) for number, age in ((0, 9), (1, 3), (2, 7))]

    world.reporter().observe(Step(), Records.of(read), Decoded([], [], []))

    assert world.value("watchkeeper_event_lag_seconds", topic="predictions") == 3


def test_a_model_is_shown_once_it_changed_and_again_where_it_came_back(world: World) -> None:
    world.state.model("fraud")
    reporter, step = world.reporter(), Step()
    step.dirty.add("fraud")
    health = {"model": "fraud", "health": "faulty"}
    reporter.observe(step, Records.of([]), Decoded([], [], []))
    assert world.value("watchkeeper_model_health", **health) == 0

    world.state.models["fraud"].incident = incident()
    reporter.observe(step, Records.of([]), Decoded([], [], []))
    assert world.value("watchkeeper_model_health", **health) == 0
    reporter.released([P])
    reporter.observe(step, Records.of([]), Decoded([], [], []))

    assert world.value("watchkeeper_model_health", **health) == 1


def test_what_is_shown_of_models_goes_with_their_partitions(world: World) -> None:
    reporter, step, share = world.reporter(), Step(), share_of("churn", 3)
    for name in ("fraud", "churn", "spam"):
        world.state.model(name).incident = incident()
        step.dirty.add(name)
    world.state.model(share)
    step.counts = Counted.of({name: Counts(predictions=2) for name in world.state.models})
    reporter.observe(step, Records.of([]), Decoded([], [], []))

    def shown(name: str, **labels: str) -> list[float | None]:
        return [world.value(name, model=each, **labels) for each in ("fraud", "churn", "spam")]

    opened = [
        ("watchkeeper_model_health", {"health": "faulty"}),
        ("watchkeeper_incidents_open", {"severity": "critical"}),
    ]
    counted = "watchkeeper_model_predictions_total"
    assert shown(counted) == [2, 4, 2]
    assert [shown(name, **labels) for name, labels in opened] == [[1, 1, 1]] * 2

    reporter.released([P])
    world.state.forget(["fraud", "churn"])
    reporter.observe(Step(), Records.of([]), Decoded([], [], []))

    assert shown(counted) == [None, 4, 2]
    assert [shown(name, **labels) for name, labels in opened] == [[None, None, 1]] * 2


@pytest.mark.parametrize("reason", UNREAD)
def test_records_passed_over_are_pages_where_there_is_sentry(world: World, reason: Reason) -> None:
    places = [DeadLetter(Record("labels", 3, n, T0, None, None), reason) for n in (1, 2)]
    reporter, silent = world.reporter(), world.reporter()
    reporter.audience = Audience(topics=None, sentry=True)
    silent.audience = Audience(topics=None)

    at_once = reporter.rows(Step(), Decoded([], [], places), T0)
    later = reporter.rows(Step(), Decoded([], [], []), T0 + 60.0)

    assert [row.channel for row in at_once + later] == ["sentry", "sentry"]
    assert silent.rows(Step(), Decoded([], [], places), T0) == []
    assert silent.rows(Step(), Decoded([], [], []), T0 + 60.0) == []


def test_label_joins_that_are_short_of_memory_are_told_once(world: World) -> None:
    world.state = State(lambda model: ModelPolicy(), join_bytes=1_000 * 100)
    reporter, joins = world.reporter(), world.state.arrays.joins

    def turn(first: int) -> float | None:
        keys = np.arange(first, first + 500, dtype=np.uint64) << np.uint64(30)
        models, at = np.zeros(500, dtype=np.int64), np.zeros(500)
        joins.predictions(models, models.astype(np.int32), keys, at, keys, at, at)
        reporter.observe(Step(), Records.of([]), Decoded([], [], []))
        return world.value("watchkeeper_label_joins_short_models")

    with capture_logs() as said:
        first, *_, last = [turn(number) for number in range(1, 20_001, 1_000)]
        joins.forget([0])
        joins.sweep()
        gone = turn(30_000)

    assert (first, last, gone) == (0, 1, 0)
    assert [line["event"] for line in said] == [
        "memory for label joins is short",
        "label joins have room again",
    ]
