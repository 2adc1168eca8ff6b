"""Each guard objects where it should, with its reason, and not where it should not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchkeeper.daemon.core.guards import (
    OF_SEVERAL,
    SOURCE_OF,
    Answer,
    Case,
    decide,
    sources,
)
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import Change, Finding, Series, Severity, moment
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Fault,
    Incident,
    IncidentState,
    Kind,
    Mode,
    Outcome,
    Phase,
    VersionRecord,
)

NOW = 1_700_000_000.0


def finding(signal: str) -> Finding:
    series = Series("m", "2", signal, signal)
    return Finding(series, "ewma", Severity.CRITICAL, NOW, NOW, 0.5, 0.9, 9.0, 5.0, 100)


def change() -> Change:
    return Change(
        id="d", time=moment(NOW - 60), model_name="m", kind="deployment", model_version="2"
    )


ACTION = Action(
    "act-1", "inc-1", "m", "rollback", ActionState.PLANNED, NOW, NOW, "back",
    {"from_version": "2", "to_version": "1"},
)  # fmt: skip
INCIDENT = Incident(
    "inc-1", "m", "2", IncidentState.OPEN, Severity.CRITICAL, "t", NOW, NOW, NOW,
    Fault(Kind.MODEL, "version 2", 0.95, {}), (finding("accuracy"),),
)  # fmt: skip
CONTEXT = Context("m", NOW, "2", (VersionRecord("1", 0, NOW, 100, 50),), (change(),))
FIT = Outcome("act-1", "m", Phase.SUCCESSFUL, "fit", NOW, "preflight")
CASE = Case(ACTION, INCIDENT, CONTEXT, ModelPolicy(mode=Mode.ACT), checked=FIT)


def test_act_permits_when_nothing_objects() -> None:
    assert decide(CASE).answer is Answer.PERMIT


def test_observe_refuses_before_anything_else() -> None:
    verdict = decide(replace(CASE, policy=ModelPolicy(mode=Mode.OBSERVE), checked=None))

    assert verdict.answer is Answer.REFUSE
    assert "observe" in verdict.reason


def test_one_kind_of_action_may_have_its_own_mode() -> None:
    policy = ModelPolicy(mode=Mode.OBSERVE, modes={"rollback": Mode.ASK})

    assert decide(replace(CASE, policy=policy)).answer is Answer.HOLD


def test_nothing_is_decided_before_the_preflight() -> None:
    assert decide(replace(CASE, checked=None)).answer is Answer.WAIT


def test_a_paused_model_and_a_blind_view_wait() -> None:
    assert decide(replace(CASE, paused=True)).answer is Answer.WAIT
    assert decide(replace(CASE, blind_since=NOW)).answer is Answer.WAIT


@pytest.mark.parametrize("kind", [Kind.ATTACK, Kind.LABELS])
def test_neither_attack_nor_labels_in_doubt_decide_a_version(kind: Kind) -> None:
    attacked = replace(INCIDENT, fault=replace(INCIDENT.fault, kind=kind))

    verdict = decide(replace(CASE, incident=attacked))

    assert verdict.answer is Answer.REFUSE
    assert kind.value in verdict.reason


def test_a_version_that_was_at_fault_is_never_a_target() -> None:
    context = replace(CONTEXT, versions=(VersionRecord("1", 0, NOW, 100, 50, faulty=True),))

    verdict = decide(replace(CASE, context=context))

    assert verdict.answer is Answer.REFUSE
    assert "caused an incident" in verdict.reason


def test_the_cooldown_names_its_minutes() -> None:
    past = replace(ACTION, id="act-0", state=ActionState.SUCCESSFUL, updated_at=NOW - 600)

    verdict = decide(replace(CASE, context=replace(CONTEXT, actions=(past,))))

    assert verdict.answer is Answer.REFUSE
    assert "10 min ago, 360 min must pass" in verdict.reason


def test_the_daily_limit_counts_the_last_day() -> None:
    policy = ModelPolicy(mode=Mode.ACT, cooldown_s=0.0, daily_limit=2)
    past = tuple(
        replace(ACTION, id=f"act-{i}", state=ActionState.SUCCESSFUL, updated_at=NOW - hours * 3600)
        for i, hours in enumerate((2, 5, 30), start=2)
    )

    verdict = decide(replace(CASE, policy=policy, context=replace(CONTEXT, actions=past)))
    fewer = decide(replace(CASE, policy=policy, context=replace(CONTEXT, actions=past[1:])))

    assert verdict.answer is Answer.REFUSE
    assert "2 of 2" in verdict.reason
    assert fewer.answer is Answer.PERMIT


def test_an_unfit_target_is_refused_and_an_undecided_one_held() -> None:
    unfit = replace(FIT, phase=Phase.FAILED, reason="worse on today's data")
    unknown = replace(FIT, phase=Phase.INCONCLUSIVE, reason="no file")

    assert decide(replace(CASE, checked=unfit)).answer is Answer.REFUSE
    assert decide(replace(CASE, checked=unknown)).answer is Answer.HOLD


def test_an_unsure_verdict_is_a_persons() -> None:
    unsure = replace(INCIDENT, fault=replace(INCIDENT.fault, confidence=0.6))

    verdict = decide(replace(CASE, incident=unsure))

    assert verdict.answer is Answer.HOLD
    assert "60%" in verdict.reason


def test_one_kind_of_event_alone_switches_nothing() -> None:
    verdict = decide(replace(CASE, context=replace(CONTEXT, changes=())))

    assert verdict.answer is Answer.HOLD
    assert "one kind of event" in verdict.reason


def test_one_kind_of_event_is_enough_to_train_since_that_switches_nothing() -> None:
    retrain = replace(CASE.action, kind="retrain")

    verdict = decide(replace(CASE, action=retrain, context=replace(CONTEXT, changes=())))

    assert verdict.answer is Answer.PERMIT


def test_sources_are_kinds_of_events() -> None:
    incident = replace(INCIDENT, findings=(finding("accuracy"), finding("errors")))

    assert sources(incident, CONTEXT) == {"labels", "predictions", "changes"}


@pytest.mark.parametrize("signal", ["estimate", "stretch"])
@pytest.mark.parametrize("other", ["accuracy", "errors"])
def test_what_comes_of_both_bears_out_neither_labels_nor_predictions(
    other: str, signal: str
) -> None:
    incident = replace(INCIDENT, findings=(finding(other), finding(signal)))

    alone = replace(INCIDENT, findings=(finding(other),))
    assert sources(incident, CONTEXT) == sources(alone, CONTEXT)


def test_of_all_that_is_watched_it_is_said_what_kind_of_event_it_comes_of() -> None:
    watched = {watch.signal for watch in DEFAULT_WATCHES}

    assert watched <= set(SOURCE_OF) | OF_SEVERAL
    assert not OF_SEVERAL & set(SOURCE_OF)
