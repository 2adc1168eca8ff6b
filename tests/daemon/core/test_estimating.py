"""Estimates through the core: learned from late labels, watched before these come."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest

from tests.daemon.core.plays import in_order
from tests.playbook import MODEL, Play, objects
from watchkeeper.daemon.core.due import due
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.detectors.types import (
    AnyFrame,
    Finding,
    LabelFrame,
    PredictionFrame,
    Sample,
    Series,
    Severity,
    moment,
)

pytestmark = pytest.mark.slow  # together, by arithmetic that no packaging changes


class Life:
    """A model whose scores are what they say, unless its world `changed`; labels may stay away."""

    def __init__(self) -> None:
        self.play = Play()

    def minute(self, **fields: object) -> Step:
        return self.play.step(Batch(self.frames(**fields)))  # type: ignore[arg-type]

    def frames(
        self,
        *,
        doubt: float = 1.0,
        changed: float = 0.0,
        labelled: bool = True,
        version: str = "v1",
        scored: bool = True,
        humble: float = 1.0,
        delay: int = 1,
    ) -> list[AnyFrame]:
        """`doubt` divides the log-odds of the scores and the truths alike, `humble` those of the
        scores alone."""
        frames: list[AnyFrame] = []
        for frame in self.play.window(version, delay=delay):
            if isinstance(frame, PredictionFrame):
                frames.append(self._scored(frame, doubt, changed, scored, humble))
            elif labelled or not isinstance(frame, LabelFrame):
                frames.append(frame)
        return frames

    def minutes(self, count: int, **fields: object) -> list[Step]:
        return [self.minute(**fields) for _ in range(count)]

    def _scored(
        self,
        frame: PredictionFrame,
        doubt: float,
        changed: float,
        scored: bool,
        humble: float,
    ) -> PredictionFrame:
        n = len(frame)
        rng = np.random.default_rng(int(frame.at[0]))
        odds = rng.choice([-3.0, 3.0], n) * rng.uniform(0.3, 1.7, n) / doubt
        score = 1.0 / (1.0 + np.exp(-odds))
        truth = rng.random(n) < np.where(rng.random(n) < changed, 0.5, score)
        waiting = dict(zip(frame.request_id.tolist(), truth.tolist(), strict=True))
        self.play._labels = [
            (at, request, ("yes" if waiting[request] else "no") if request in waiting else label)
            for at, request, label in self.play._labels
        ]
        score = 1.0 / (1.0 + np.exp(-odds / humble))
        return dataclasses.replace(
            frame,
            score=score if scored else np.full(n, np.nan),
            label=objects(["yes" if each >= 0.5 else "no" for each in score]),
        )


def given(steps: list[Step], signal: str, target: str = "accuracy") -> list[Sample]:
    return [
        each
        for step in steps
        for each in step.samples
        if (each.series.signal, each.series.target) == (signal, target)
    ]


def pages(steps: list[Step], signal: str) -> list[str]:
    return [
        f.series.signal
        for step in steps
        for f in step.findings
        if f.severity is Severity.CRITICAL and f.series.signal == signal
    ]


@pytest.fixture
def life() -> Life:
    made = Life()
    made.minutes(40)
    return made


def test_truths_teach_the_same_in_any_batch_that_completes_the_reference() -> None:
    life, joined = Life(), Play()
    windows = [life.frames(delay=3) for _ in range(40)]

    for frames in windows:
        life.play.step(Batch(frames))
    for first in range(0, 40, 4):
        frames = [frame for each in windows[first : first + 4] for frame in each]
        by_kind = sorted(in_order(frames), key=lambda frame: isinstance(frame, PredictionFrame))
        joined.step(Batch(by_kind))

    single = life.play.pipeline.state.models[MODEL].estimates
    other = joined.pipeline.state.models[MODEL].estimates
    assert single is not None
    assert other is not None
    assert single.state() == other.state()


@pytest.mark.parametrize("target", ["accuracy", "f1", "roc_auc"])
def test_the_estimate_is_near_what_labels_say_later(life: Life, target: str) -> None:
    steps = life.minutes(60)

    estimates = given(steps, "estimate", target)
    truths = [
        each
        for step in steps
        for sampled in step.sampled
        for each in sampled.samples("accuracy")
        if each.series.target == target
    ]
    assert len(estimates) > 50
    mean = np.mean([each.value for each in estimates])
    assert abs(mean - np.mean([each.value for each in truths])) < 0.02
    # A band of one window is as wide as the truths of one window scatter.
    error = np.mean([each.stderr for each in estimates])
    assert 0.5 < error / np.std([each.value for each in truths]) < 2.0


def test_gaps_are_about_zero_while_scores_mean_what_they_meant(life: Life) -> None:
    gaps = given(life.minutes(60), "estimate_gap")

    assert len(gaps) > 50
    assert all(each.expected == 0.0 for each in gaps)
    scores = np.array([each.value / each.stderr for each in gaps])
    assert abs(scores.mean()) < 0.5
    assert np.mean(np.abs(scores) < 1.96) > 0.85


def test_harder_inputs_are_paged_without_a_label(life: Life) -> None:
    life.minutes(40)

    steps = life.minutes(12, doubt=4.0, labelled=False)

    assert pages(steps, "estimate")
    assert life.play.incident.severity is Severity.CRITICAL


def test_a_page_says_how_far_what_is_expected_can_be_trusted(life: Life) -> None:
    life.minutes(40)
    life.minutes(12, doubt=4.0, labelled=False)
    incident = life.play.incident

    said = {f.statement for f in incident.findings if f.series.signal == "estimate"}

    assert len(said) == 1
    text = re.fullmatch(r"expected accuracy \(by calibrated scores, (\d+)% trusted\)", said.pop())
    assert text is not None
    assert 80 <= int(text[1]) <= 100
    assert text[0] in incident.title


def test_it_is_said_when_labels_can_be_expected_to_confirm_it(life: Life) -> None:
    life.minutes(40)
    life.minutes(12, doubt=4.0, labelled=False)
    incident = life.play.incident

    lines = [note.text for note in incident.timeline if "estimated" in note.text]

    # Labels take a minute here; tables of delays are a third wide.
    ends = incident.opened_at
    last = [moment(ends + seconds).strftime("%H:%M:%S") for seconds in range(30, 90)]
    assert len(lines) == 1
    assert any(each in lines[0] for each in last)


def test_labels_that_were_never_seen_are_not_in_sight() -> None:
    play = Play()
    play.step(Batch(play.window()))
    state = play.pipeline.state.models[MODEL]
    series = Series(MODEL, "v1", "estimate", "accuracy")
    finding = Finding(
        series=series, detector="ewma", severity=Severity.CRITICAL, since=play.at - 60.0,
        at=play.at, value=0.7, expected=0.9, statistic=6.0, threshold=5.0, n=200,
    )  # fmt: skip

    assert due(state, finding) == math.inf


def test_labels_overrule_an_estimate_that_was_wrong(life: Life) -> None:
    life.minutes(40)
    life.minutes(12, humble=5.0, labelled=False)
    opened = life.play.incident

    life.minutes(12, humble=5.0)

    assert "estimate" in {f.series.signal for f in opened.findings}
    assert life.play.incident.id == opened.id
    health = life.play.pipeline.state.models[MODEL].health
    expected = next(each for each in health if each.signal == "estimate")
    assert expected.quiet >= life.play.policy.recover_windows


def test_bad_times_teach_nothing(life: Life) -> None:
    life.minutes(40)
    life.minutes(4, changed=1.0)
    estimates = life.play.pipeline.state.models[MODEL].estimates
    assert estimates is not None
    before = estimates.state()

    life.minutes(1, changed=1.0)

    assert life.play.incident.open
    after = estimates.state()
    assert after["versions"][0]["fresh"] == before["versions"][0]["fresh"]
    assert after["versions"][0]["record"] != before["versions"][0]["record"]


def test_a_world_that_changed_makes_estimates_fall_silent_instead(life: Life) -> None:
    life.minutes(40)

    steps = life.minutes(15, changed=0.6)

    assert not pages(steps, "estimate")
    assert not given(steps[-5:], "estimate")
    found = {(f.series.signal, f.severity) for step in steps for f in step.findings}
    assert ("estimate_gap", Severity.INFO) in found


def test_trust_in_what_is_shown_goes_with_what_labels_say(life: Life) -> None:
    before = life.minute().estimates[MODEL]["accuracy"]
    after = life.minutes(15, changed=0.6)[-1].estimates[MODEL]["accuracy"]

    assert before[0] == pytest.approx(0.9, abs=0.1)
    assert math.isnan(after[0])
    assert after[1] < 0.5 < before[1] <= 1.0


def test_nothing_pages_while_all_is_well(life: Life) -> None:
    steps = life.minutes(150)

    assert not pages(steps, "estimate")


def test_a_new_version_speaks_once_it_has_earned_trust(life: Life) -> None:
    first = life.minutes(3, version="v2")
    later = life.minutes(8, version="v2")

    assert not [e for e in given(first, "estimate") if e.series.version == "v2"]
    assert [e for e in given(later, "estimate") if e.series.version == "v2"]


@pytest.mark.parametrize("fields", [{"labelled": False}, {"scored": False}])
def test_nothing_is_kept_without_labels_or_scores(fields: dict[str, bool]) -> None:
    life = Life()

    steps = life.minutes(30, **fields)

    assert life.play.pipeline.state.models[MODEL].estimates is None
    assert not given(steps, "estimate")
    assert not given(steps, "estimate_gap")


def test_a_restart_changes_no_sample() -> None:
    kept, restarted = Life(), Life()
    for each in (kept, restarted):
        each.minutes(25)
        each.minutes(5, version="v2")
    restarted.play.restarted()

    there, here = kept.minutes(25, version="v2"), restarted.minutes(25, version="v2")

    for signal in ("estimate", "estimate_gap"):
        assert given(there, signal)
        assert repr(given(there, signal)) == repr(given(here, signal))


def test_damaged_estimates_are_set_aside(life: Life) -> None:
    state = life.play.pipeline.state
    model = state.models[MODEL]
    assert model.estimates is not None
    model.estimates.versions["v1"].record[0, 0] = -1.0

    life.play.restarted()

    again = life.play.pipeline.state.models[MODEL]
    assert again.estimates is None
    assert not given(life.minutes(2), "estimate")


def test_a_forgotten_version_leaves_nothing(life: Life) -> None:
    model = life.play.pipeline.state.models[MODEL]
    assert model.estimates is not None

    model.forget("v1")

    assert not model.estimates.versions
