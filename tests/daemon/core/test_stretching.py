"""Stretches through the core: judged by the predictions that label joins keep."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.daemon.core.test_estimating import Life, given, pages
from tests.playbook import MODEL, PER_WINDOW
from watchkeeper.daemon.config.models import ModelSettings
from watchkeeper.daemon.core.incidents import (
    RECENT_WINDOWS,
    UNJUDGED_FACTOR,
    follow,
    remember,
    retire,
)
from watchkeeper.daemon.core.joined import marked
from watchkeeper.daemon.core.joins import Joins
from watchkeeper.daemon.core.model import Health
from watchkeeper.daemon.core.renewing import clear
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.daemon.core.stretching import PART, UNHELD, WAITED
from watchkeeper.detectors.estimation import judged as judging
from watchkeeper.detectors.estimation.judged import FEWEST, Judged
from watchkeeper.detectors.keys import Keys, keys_of
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import Finding, Series, Severity
from watchkeeper.handlers.types import Fault, Incident, IncidentState, Kind

pytestmark = pytest.mark.slow  # together, by arithmetic that no packaging changes

SIZE = 400  # predictions of a stretch here
WINDOWS = 4
GROWN = (FEWEST + 9) * WINDOWS
OF_STRETCHES = tuple(watch for watch in DEFAULT_WATCHES if watch.signal == "stretch")
INCIDENT = Incident(
    "inc", MODEL, "v1", IncidentState.OPEN, Severity.CRITICAL, "t", 0.0, 0.0, 0.0,
    Fault(Kind.UNKNOWN, "", 0.0, {}), (),
)  # fmt: skip


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "SIZE", SIZE)


def life(**settings: object) -> Life:
    made = Life()
    accepted = PART * WINDOWS * made.play.policy.window_s
    asked: dict[str, Any] = {"false_alarm_s": accepted, "stretches": True, **settings}
    policy = msgspec.structs.replace(made.play.policy, **asked)
    made.play.policy = policy  # before the first event: the core asks for it then
    return made


@cache
def grown() -> tuple[Life, tuple[Step, ...]]:
    made = life()
    return made, tuple(made.minutes(GROWN))


def drift(since: float, at: float) -> Finding:
    series = Series(MODEL, "v1", "features", "age:mean")
    return Finding(series, "reference_z", Severity.INFO, since, at, 1.0, 0.0, 9.0, 6.0, 100)


def judged(of: Life, version: str = "v1") -> Judged:
    estimates = of.play.pipeline.state.models[MODEL].estimates
    assert estimates is not None
    return estimates.versions[version].judged


def test_good_stretches_are_given_and_page_nobody() -> None:
    made, steps = grown()

    said = given([*steps], "stretch")

    for target in ("f1", "roc_auc"):
        assert len(given([*steps], "stretch", target)) >= 2
    assert 2 <= len(said) <= 8
    assert all(each.n >= SIZE for each in said)
    assert all(abs(each.value - each.expected) < 3 * each.stderr for each in said)
    lasts = {each.window.end - each.window.start for each in said}
    assert lasts == {WINDOWS * made.play.policy.window_s}
    assert not pages([*steps], "stretch")
    assert made.play.incidents == []


def test_a_stretch_that_was_worse_pages_and_says_what_it_rests_on() -> None:
    made = life()
    made.minutes(GROWN)

    steps = made.minutes(3 * WINDOWS, changed=0.2)

    found = [f for s in steps for f in s.findings if f.series.signal == "stretch"]
    assert pages(steps, "stretch")
    assert {f.detector for f in found} == {"outside"}
    assert all("of the labels)" in f.statement and f.direction == "down" for f in found)
    assert judged(made).worse


def test_a_restart_changes_no_stretch() -> None:
    kept, restarted = life(), life()
    for each in (kept, restarted):
        each.minutes(GROWN)
    restarted.play.restarted()

    there, here = kept.minutes(2 * WINDOWS), restarted.minutes(2 * WINDOWS)

    assert given(there, "stretch")
    assert repr(given(there, "stretch")) == repr(given(here, "stretch"))
    assert judged(kept) == judged(restarted)


def test_batches_of_any_size_give_the_same_stretches() -> None:
    whole, cut = life(), life()
    whole.minutes(GROWN)
    step = cut.play.step

    def apart(batch: Batch) -> Step:
        for frame in batch.frames:
            for rows in np.array_split(np.arange(len(frame)), 3):
                last = step(Batch([frame.take(rows)]))
        return last

    cut.play.step = apart  # type: ignore[method-assign]
    cut.minutes(GROWN)

    assert judged(whole) == judged(cut)
    assert judged(whole).normal[0][0] >= FEWEST


def test_a_new_version_is_compared_with_its_predecessors_normal() -> None:
    made = life()
    made.minutes(GROWN)

    made.minutes(5, version="v2")

    assert judged(made, "v2").normal == judged(made).normal


def test_new_normal_is_learned_anew() -> None:
    made = life()
    made.minutes(GROWN)
    model = made.play.pipeline.state.models[MODEL]

    clear(model, {Series(MODEL, "v1", "stretch", "accuracy")})

    assert judged(made).normal == Judged().normal


def test_a_harm_of_stretches_waits_for_three_of_them_and_for_labels() -> None:
    made = life(verify_windows=1)
    made.minutes(2)
    state, policy = made.play.pipeline.state.models[MODEL], made.play.policy
    state.incident = INCIDENT
    state.health = [Health("stretch", "f1", "outside"), Health("accuracy", "f1", "ewma")]

    kept = []
    for _ in range(WAITED * WINDOWS + 2):
        follow(state, {})
        retire(state, policy, made.play.at)
        kept.append([each.signal for each in state.health])

    assert kept[1] == ["stretch", "accuracy"]
    assert kept[2] == kept[WAITED * WINDOWS - 1] == ["stretch"]
    assert kept[-1] == []
    assert "no longer waited for: stretch f1" in state.incident.timeline[-1].text


def test_a_harm_of_stretches_that_are_not_asked_for_any_more_is_let_go_of_as_any() -> None:
    made = life(verify_windows=1, stretches=False)
    made.minutes(2)
    state = made.play.pipeline.state.models[MODEL]
    state.incident = INCIDENT
    state.health = [Health("stretch", "f1", "outside")]

    made.minutes(UNJUDGED_FACTOR)

    assert state.health == []
    assert "no longer waited for: stretch f1" in str(made.play.incident.timeline)


def test_nothing_is_computed_nor_kept_of_stretches_that_nobody_asked_for() -> None:
    made = life(stretches=False)

    steps = made.minutes(FEWEST * WINDOWS)

    estimates = made.play.pipeline.state.models[MODEL].estimates
    assert estimates is not None
    assert judged(made).new
    assert estimates.versions["v1"].speaks
    assert [each["judged"] for each in estimates.state()["versions"]] == [None]
    assert not [each for step in steps for each in step.samples if each.series.signal == "stretch"]


def test_what_was_kept_of_stretches_goes_when_nobody_asks_for_them_any_more() -> None:
    made = life()
    made.minutes(GROWN)
    assert not judged(made).new

    made.play.policy = msgspec.structs.replace(made.play.policy, stretches=False)
    made.play.restarted()
    made.minutes(2)

    assert judged(made).new


def test_stretches_are_off_unless_asked_for() -> None:
    assert not ModelSettings().policy(()).stretches
    assert ModelSettings(stretches=True).policy(()).stretches


def test_an_incident_of_stretches_is_left_to_a_person_when_labels_stop() -> None:
    made = life(watches=OF_STRETCHES, verify_windows=2)
    made.minutes(GROWN)
    made.minutes(2 * WINDOWS, changed=0.2)
    assert made.play.incident.open

    made.minutes((WAITED + 3) * WINDOWS, labelled=False)

    assert "no longer waited for: stretch" in str(made.play.incident.timeline)


def test_a_version_that_was_never_judged_has_not_recovered() -> None:
    made = life(watches=OF_STRETCHES, verify_windows=1, recover_windows=1)
    made.minutes(GROWN)
    assert any(pages([made.minute(changed=0.9)], "stretch") for _ in range(3 * WINDOWS))

    for _ in range(5 * WINDOWS):
        made.minute(changed=0.9, version="v2")
        assert made.play.incident.open

    assert judged(made, "v2").worse


def test_explanations_are_kept_for_as_long_as_a_stretch() -> None:
    made, width = life(), 60.0
    state, policy = made.play.pipeline.state.model(MODEL), made.play.policy
    drifts = [drift(0.0, end * width) for end in (2, 3, 4)]
    later = (RECENT_WINDOWS + WINDOWS) * width

    for each in drifts:
        remember(state, policy, each.at, [each])
    remember(state, policy, later, [])
    kept = list(state.recent)
    remember(state, msgspec.structs.replace(policy, stretches=False), later, [])

    assert kept == [drifts[-1]]
    assert state.recent == []


def test_an_incident_of_stretches_ends_once_one_was_good() -> None:
    made = life()
    made.minutes(GROWN)
    made.minutes(2 * WINDOWS, changed=0.2)
    assert "stretch" in {f.series.signal for f in made.play.incident.findings}

    made.minutes(4 * WINDOWS)

    assert not judged(made).worse
    assert not made.play.incident.open


def test_a_stretch_begins_with_the_oldest_prediction_that_is_kept() -> None:
    made = life(join_capacity=SIZE + 160)

    made.minutes(GROWN)

    newest = judged(made).held[-1]
    assert SIZE <= newest.n < WINDOWS * PER_WINDOW
    assert newest.end - newest.start < WINDOWS * made.play.policy.window_s


@pytest.mark.parametrize("more", [-100, 160])  # shorter than a stretch; than until labels are told
def test_it_is_said_where_the_label_join_is_too_short_for_any_stretch(more: int) -> None:
    made = life(join_capacity=SIZE + more)

    steps = made.minutes(GROWN)

    found = [f for s in steps for f in s.findings if f.series.signal == "stretch"]
    assert len(found) > FEWEST
    assert {f.severity for f in found} == {Severity.INFO}
    assert all(f.n < SIZE and "no stretch can be judged" in f.statement for f in found)
    assert made.play.incidents == []


def test_stretches_of_models_do_not_all_end_at_once() -> None:
    ends = set()
    for number in range(30):
        made = life()
        key = made.play.pipeline.state.model(f"m{number}").row
        clocks = made.play.pipeline.state.arrays.clocks.arrays["key"]
        ends.add((int(clocks[key]) % 1024) * WINDOWS // 1024)

    assert len(ends) == WINDOWS


# ------------------------------------------------------------------------- what the joins keep

YES, NO, NONE = (np.uint64(each) for each in (*keys_of(["yes", "no"]).tolist(), 0))
SAID = [YES, NO, YES, NO, NONE, NONE]
TRUTH = [YES, YES, NO, NO, YES, NO]
SCORE = [0.9, 0.0, 0.6, 0.2, 0.75, float("nan")]


def keyed(keys: list[np.uint64]) -> Keys:
    return np.array(keys, dtype=np.uint64)


def answered(joins: Joins, *, labels_first: bool, known: float) -> list[str]:
    n = len(SAID)
    model, key = np.zeros(n, dtype=np.int64), np.arange(1, n + 1).astype(np.uint64)
    at, nothing = np.zeros(n), np.full(n, np.nan)

    def label() -> None:
        joins.labels(model, key, at + 10.0, keyed(TRUTH), nothing)

    if labels_first:
        label()
    joins.predictions(model, model.astype(np.int32), key, at, keyed(SAID), np.array(SCORE), nothing)
    if not labels_first:
        label()
    kept = joins.held.answered(0, 0, known).of_class(YES)
    rows = zip(*(each.tolist() for each in (kept.score, kept.said, kept.known)), strict=True)
    return sorted(map(repr, rows))


@pytest.mark.parametrize("labels_first", [True, False])
def test_answers_scores_and_truths_are_all_known_of_what_was_joined(labels_first: bool) -> None:
    joins = Joins(100, 60.0)

    rows = answered(joins, labels_first=labels_first, known=20.0)
    truths = joins.held.answered(0, 0, 20.0).of_class(YES).truth

    said = [True, False, True, False, True, False]
    expected = zip(SCORE, said, [True] * 6, strict=True)
    assert rows == sorted(map(repr, expected))
    assert int(truths.sum()) == TRUTH.count(YES)


def test_a_truth_is_not_known_before_it_came() -> None:
    joins = Joins(100, 60.0)

    rows = answered(joins, labels_first=False, known=5.0)

    assert all(row.endswith("False)") for row in rows)
    assert [row.split(",")[1] for row in rows].count(" True") == 3


def test_another_version_has_predictions_of_its_own() -> None:
    joins = Joins(100, 60.0)
    answered(joins, labels_first=False, known=20.0)

    assert len(joins.held.answered(0, 1, 20.0).at) == 0
    assert len(joins.held.answered(1, 0, 20.0).at) == 0


def test_what_is_no_probability_is_marked_as_none() -> None:
    odd = np.array([-0.5, 1.5, np.inf, np.nan])

    assert np.isnan(marked(odd, keyed([YES] * 4), keyed([NO] * 4))).all()


def test_a_join_that_is_full_says_how_far_back_it_reaches() -> None:
    roomy, full = Joins(len(SAID) + 1, 60.0), Joins(len(SAID), 60.0)
    for joins in (roomy, full):
        answered(joins, labels_first=False, known=20.0)

    assert roomy.held.kept_since(0) == -np.inf
    assert full.held.kept_since(0) == 0.0
    assert full.held.kept_since(1) == -np.inf


def test_little_traffic_is_no_join_that_is_too_short() -> None:
    made = life(join_capacity=3 * WINDOWS * PER_WINDOW)
    made.minutes(GROWN)

    steps = [made.play.step(Batch(made.play.window(n=60))) for _ in range(3 * WINDOWS)]

    assert judged(made).begun > made.play.pipeline.state.arrays.joins.held.kept_since(0) > 0.0
    assert not [f for s in steps for f in s.findings if f.detector == UNHELD]
