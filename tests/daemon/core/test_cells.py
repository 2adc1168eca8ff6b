"""Estimates of regressors and of classifiers of many classes through the core."""

from __future__ import annotations

import dataclasses
import math

import msgspec
import numpy as np
import pytest

from tests.daemon.core.test_spread import Apart, pipeline
from tests.playbook import MODEL, Play, objects
from watchkeeper.daemon.core.due import due
from watchkeeper.daemon.core.spread import WAITS, WAITS_S
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.types import (
    AnyFrame,
    Finding,
    FloatArray,
    LabelFrame,
    PredictionFrame,
    Sample,
    Series,
    Severity,
)

pytestmark = pytest.mark.slow  # together, by arithmetic that no packaging changes

CLASSES = ("red", "green", "blue")


class Life:
    """A model that answers numbers or one of three colours; it can say how sure it is."""

    def __init__(self, task: str) -> None:
        self.play, self.task, self.weak = Play(), task, 1.0
        self.truths: dict[str, tuple[str | None, float]] = {}

    def minute(
        self,
        *,
        hard: float = 0.0,
        wrong: float = 1.0,
        labelled: bool = True,
        version: str = "v1",
        weak: float = 1.0,
    ) -> Step:
        """`hard` inputs have larger errors, as the model knows; `wrong` ones, as it does not.
        A `weak` regressor answers so many times nearer to the mean than it should."""
        self.weak = weak
        return self.play.step(Batch(self.frames(hard, wrong, labelled, version)))

    def frames(
        self, hard: float = 0.0, wrong: float = 1.0, labelled: bool = True, version: str = "v1"
    ) -> list[AnyFrame]:
        """What comes in a minute."""
        frames: list[AnyFrame] = []
        for frame in self.play.window(version):
            if isinstance(frame, PredictionFrame):
                frames.append(self._answered(frame, hard, wrong))
            elif labelled and isinstance(frame, LabelFrame):
                frames.append(self._told(frame))
        return frames

    def minutes(self, count: int, **fields: object) -> list[Step]:
        return [self.minute(**fields) for _ in range(count)]  # type: ignore[arg-type]

    def _answered(self, frame: PredictionFrame, hard: float, wrong: float) -> PredictionFrame:
        n, rng = len(frame), np.random.default_rng(int(frame.at[0]))
        nothing = np.full(n, np.nan)
        if self.task == "regression":
            said = 100.0 * rng.beta(2.0 + hard, 2.0, n)
            truth = said + wrong * rng.normal(0.0, 1.0 + 0.1 * said)
            said = 50.0 + (said - 50.0) / self.weak
            self._know(frame, [(None, float(each)) for each in truth])
            return dataclasses.replace(frame, label=objects([None] * n), score=nothing, value=said)
        sure = rng.beta(8.0 - hard, 2.0, n)
        said_class, off = rng.integers(0, 3, n), rng.integers(1, 3, n)
        right = rng.random(n) < sure / wrong
        truths = np.where(right, said_class, (said_class + off) % 3)
        self._know(frame, [(CLASSES[each], np.nan) for each in truths])
        label = objects([CLASSES[each] for each in said_class])
        return dataclasses.replace(frame, label=label, score=sure)

    def _know(self, frame: PredictionFrame, truths: list[tuple[str | None, float]]) -> None:
        self.truths |= dict(zip(frame.request_id.tolist(), truths, strict=True))

    def _told(self, frame: LabelFrame) -> LabelFrame:
        known = [self.truths.pop(each) for each in frame.request_id.tolist()]
        value = np.array([number for _, number in known])
        return dataclasses.replace(frame, label=objects([text for text, _ in known]), value=value)


TARGETS = pytest.mark.parametrize(
    ("task", "target"), [("regression", "mae"), ("regression", "rmse"), ("multiclass", "accuracy")]
)
TASKS = pytest.mark.parametrize("task", ["regression", "multiclass"])


def given(steps: list[Step], signal: str, target: str | None = None) -> list[Sample]:
    return [
        each
        for step in steps
        for each in step.samples
        if each.series.signal == signal and target in (None, each.series.target)
    ]


def realised(steps: list[Step], target: str) -> FloatArray:
    told = [
        each
        for step in steps
        for sampled in step.sampled
        for each in sampled.samples("accuracy")
        if each.series.target == target
    ]
    return np.array([each.value for each in told or given(steps, "accuracy", target)])


def pages(steps: list[Step]) -> list[str]:
    found = [f for step in steps for f in step.findings if f.severity is Severity.CRITICAL]
    return [f.series.target for f in found if f.series.signal == "estimate"]


@pytest.mark.parametrize("target", ["mae", "rmse"])
def test_a_regressor_that_knows_next_to_nothing_is_estimated_as_it_is(target: str) -> None:
    life = Life("regression")
    life.minutes(40, weak=50.0)  # errors have fifty times the spread of the answers

    steps = life.minutes(40, weak=50.0)

    estimates, truths = given(steps, "estimate", target), realised(steps, target)
    assert len(estimates) > 30
    assert np.mean([each.value for each in estimates]) == pytest.approx(truths.mean(), rel=0.05)


@pytest.mark.parametrize("target", ["mae", "rmse"])
def test_errors_that_no_cell_can_hold_are_not_trusted(target: str) -> None:
    life = Life("regression")
    life.minutes(40, weak=1e5)

    steps = life.minutes(20, weak=1e5)

    assert not given(steps, "estimate", target)
    assert all(gap.value > 0.0 for gap in given(steps, "estimate_gap", target))
    assert steps[-1].estimates[MODEL][target][1] < 0.3


def grown(task: str, minutes: int = 40) -> Life:
    life = Life(task)
    life.minutes(minutes)
    return life


@TARGETS
def test_the_estimate_is_near_what_labels_say_later(task: str, target: str) -> None:
    steps = grown(task).minutes(60)

    estimates = given(steps, "estimate", target)
    truths = realised(steps, target)
    assert len(estimates) > 50
    assert np.mean([each.value for each in estimates]) == pytest.approx(truths.mean(), rel=0.03)
    error = np.mean([each.stderr for each in estimates])
    assert 0.5 < error / truths.std() < 2.0


@TARGETS
def test_gaps_are_about_zero_while_answers_are_worth_what_they_were(task: str, target: str) -> None:
    gaps = given(grown(task).minutes(60), "estimate_gap", target)

    assert len(gaps) > 50
    scores = np.array([each.value / each.stderr for each in gaps])
    assert abs(scores.mean()) < 0.5
    assert np.mean(np.abs(scores) < 1.96) > 0.85


@TASKS
def test_harder_inputs_are_paged_without_a_label(task: str) -> None:
    life = grown(task, 80)

    steps = life.minutes(12, hard=5.0, labelled=False)

    assert pages(steps)


@TASKS
def test_a_world_that_changed_is_seen_by_the_gap_alone(task: str) -> None:
    life = grown(task, 80)

    steps = life.minutes(15, wrong=1.6)

    assert not pages(steps)
    assert not given(steps[-5:], "estimate")
    assert "estimate_gap" in {f.series.signal for step in steps for f in step.findings}


@TASKS
def test_nothing_pages_while_all_is_well(task: str) -> None:
    assert not pages(grown(task).minutes(150))


@TASKS
def test_nothing_is_kept_without_labels(task: str) -> None:
    life = Life(task)

    steps = life.minutes(30, labelled=False)

    assert life.play.pipeline.state.models[MODEL].estimates is None
    assert not given(steps, "estimate")


@TASKS
def test_a_new_version_speaks_once_it_has_earned_trust(task: str) -> None:
    life = grown(task)

    first, later = life.minutes(3, version="v2"), life.minutes(8, version="v2")

    assert not [e for e in given(first, "estimate") if e.series.version == "v2"]
    assert [e for e in given(later, "estimate") if e.series.version == "v2"]


@TASKS
def test_a_restart_changes_no_sample(task: str) -> None:
    kept, restarted = grown(task, 25), grown(task, 25)
    restarted.play.restarted()

    there, here = kept.minutes(20), restarted.minutes(20)

    for signal in ("estimate", "estimate_gap"):
        assert given(there, signal)
        assert repr(given(there, signal)) == repr(given(here, signal))


def test_the_score_of_a_class_that_is_named_is_no_confidence() -> None:
    life = Life("multiclass")
    life.play.policy = msgspec.structs.replace(life.play.policy, positive="red")

    steps = life.minutes(30)

    assert life.play.pipeline.state.models[MODEL].estimates is None
    assert not given(steps, "estimate_gap")


@TASKS
def test_shares_of_a_model_teach_what_the_whole_does(task: str) -> None:
    life, apart, whole = Life(task), Apart(2), pipeline()
    minutes = [life.frames() for _ in range(30)]
    seen = [f for frames in minutes[:5] for f in frames if isinstance(f, PredictionFrame)]
    profile = learn_profile(seen, MODEL, "v1", source="imported")
    apart.refer(profile)
    whole.step(Batch(profiles=[profile]))

    for frames in minutes:
        whole.step(Batch(frames))
        apart.read(frames)
        for number in (1, 0):
            apart.checkpoint(number)
            apart.tell(number)

    mine, theirs = (p.state.models[MODEL].estimates for p in (apart.owner, whole))
    assert mine is not None
    assert theirs is not None
    assert mine.cells["v1"].own
    assert mine.state() == theirs.state()


def harm(at: float) -> Finding:
    return Finding(
        series=Series(MODEL, "v1", "estimate", "mae"), detector="ewma",
        severity=Severity.CRITICAL, since=0.0, at=at, value=2.0, expected=1.0, statistic=6.0,
        threshold=5.0, n=200,
    )  # fmt: skip


def test_a_spread_model_does_not_say_when_labels_come_before_its_shares_do() -> None:
    state = pipeline().state.model(MODEL)

    assert math.isnan(due(state, harm(60.0)))


def test_a_spread_model_says_by_its_shares_when_labels_come() -> None:
    life, apart, whole = Life("regression"), Apart(2), pipeline()
    for _ in range(30):
        frames = life.frames()
        whole.step(Batch(frames))
        apart.read(frames)
        for number in (1, 0):
            apart.checkpoint(number)
            apart.tell(number)
    at = life.play.at

    mine, theirs = (due(p.state.models[MODEL], harm(at)) for p in (apart.owner, whole))

    assert at < theirs < at + 120.0  # labels take a minute here
    assert mine == pytest.approx(theirs, abs=30.0)


def test_how_long_labels_of_shares_take_outlasts_a_restart() -> None:
    life, apart = Life("regression"), Apart(2)
    for _ in range(12):
        apart.read(life.frames())
    for number in (0, 1):
        apart.checkpoint(number)
        apart.tell(number)
    state = apart.owner.state
    again = pipeline().state

    again.load(MODEL, state.dump(MODEL))

    assert due(again.models[MODEL], harm(60.0)) == due(state.models[MODEL], harm(60.0)) < math.inf


def test_how_long_labels_take_is_told_no_oftener_than_it_matters() -> None:
    life, apart, told = Life("regression"), Apart(1), 0
    for _ in range(30):
        apart.read(life.frames())
        apart.checkpoint(0)
        told += sum(part.signal == WAITS for part in apart.waiting[0].pop().parts)

    assert told == 30 * 60 // WAITS_S
