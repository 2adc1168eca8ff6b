"""Rollback: when it plans, what it checks, and that it never deploys twice."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from tests.fakes import Crash, FakeDeployer, FakeScorer
from tests.handlers import cases
from watchkeeper.handlers.checks import HandlerTrial, check_handler
from watchkeeper.handlers.comparing import Comparison, Verdict
from watchkeeper.handlers.errors import Refused, Unreachable
from watchkeeper.handlers.left_out import LeftOut
from watchkeeper.handlers.rollback import Rollback
from watchkeeper.handlers.scorer import NOTHING
from watchkeeper.handlers.types import ActionState, Context, Incident, Kind, Phase


def _comparison(verdict: Verdict) -> Comparison:
    return Comparison(verdict, "error rate", 0.3, 0.1, 0.001, 500)


def _trial() -> HandlerTrial:
    target = FakeDeployer()
    return HandlerTrial(
        handler=lambda: Rollback(target, FakeScorer(_comparison("better"))),
        effects=lambda: len(target.switches),
        incident=cases.incident(),
        context=cases.context(),
    )


def test_it_passes_the_checks_of_every_handler() -> None:
    check_handler(_trial)


def test_it_goes_back_to_the_version_that_was_replaced() -> None:
    versions = (
        cases.record("v0", hours_ago=2000),
        cases.record("v1", hours_ago=900),
        cases.record("v2", hours_ago=5),
    )

    action = Rollback(FakeDeployer()).plan(
        cases.incident(),
        cases.context(versions=versions, changes=(cases.deployment(previous="v0"),)),
    )

    assert action is not None
    assert action.args == {"from_version": "v2", "to_version": "v0"}


def test_it_passes_over_a_faulty_replaced_version() -> None:
    versions = (
        cases.record("v0", hours_ago=2000),
        cases.record("v1", hours_ago=900, faulty=True),
        cases.record("v2", hours_ago=5),
    )

    action = Rollback(FakeDeployer()).plan(cases.incident(), cases.context(versions=versions))

    assert action is not None
    assert action.args["to_version"] == "v0"


@pytest.mark.parametrize(
    ("why", "incident", "context"),
    [
        ("the data are at fault", cases.incident(Kind.DATA), cases.context()),
        ("an attack", cases.incident(Kind.ATTACK), cases.context()),
        ("no deployment", cases.incident(), cases.context(changes=())),
        (
            "the deployment is long ago",
            cases.incident(),
            cases.context(changes=(cases.deployment(hours_ago=74),)),
        ),
        (
            "the live version came after the incident, perhaps as its remedy",
            cases.incident(),
            cases.context(changes=(cases.deployment(hours_ago=0.5),)),
        ),
        (
            "another version was deployed",
            cases.incident(),
            cases.context(changes=(cases.deployment("v3"),)),
        ),
        (
            "the incident is about a version that is gone",
            cases.incident(version="v1"),
            cases.context(),
        ),
        (
            "no earlier version",
            cases.incident(),
            cases.context(versions=(cases.record("v2", hours_ago=5),)),
        ),
        (
            "the earlier version caused an incident",
            cases.incident(),
            cases.context(versions=(cases.record("v1", hours_ago=900, faulty=True),)),
        ),
        (
            "the earlier version was never seen healthy for long",
            cases.incident(),
            cases.context(versions=(cases.record("v1", hours_ago=900, healthy=9),)),
        ),
        (
            "the other version is newer",
            cases.incident(),
            cases.context(versions=(cases.record("v3", hours_ago=4),)),
        ),
    ],
)
def test_it_plans_nothing_when(why: str, incident: Incident, context: Context) -> None:
    assert Rollback(FakeDeployer()).plan(incident, context) is None, why


@pytest.mark.parametrize("state", ActionState)
def test_an_incident_has_one_rollback_whatever_became_of_it(state: ActionState) -> None:
    context = cases.context(actions=(cases.action(state=state),))

    assert Rollback(FakeDeployer()).plan(cases.incident(), context) is None


def test_the_rollback_of_another_incident_is_no_hindrance() -> None:
    other = msgspec.structs.replace(cases.action(), incident_id="inc-0")

    assert Rollback(FakeDeployer()).plan(cases.incident(), cases.context(actions=(other,)))


@pytest.mark.parametrize(
    ("verdict", "phase"),
    [("better", Phase.SUCCESSFUL), ("same", Phase.SUCCESSFUL), ("worse", Phase.FAILED)],
)
def test_the_preflight_goes_by_todays_data(verdict: Verdict, phase: Phase) -> None:
    scorer = FakeScorer(_comparison(verdict))

    outcome = Rollback(FakeDeployer(), scorer).preflight(cases.action())

    assert outcome.phase is phase
    assert "error rate 0.1 against 0.3 (n=500" in outcome.reason
    assert scorer.asked == [("churn", "v2", "v1", None)]


@pytest.mark.parametrize("scorer", [None, FakeScorer()])
def test_without_a_comparison_a_person_decides(scorer: FakeScorer | None) -> None:
    outcome = Rollback(FakeDeployer(), scorer).preflight(cases.action())

    assert outcome.phase is Phase.INCONCLUSIVE
    assert "a person must decide" in outcome.reason


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (FakeDeployer(versions=["v2"]), "v1 is not available"),
        (FakeDeployer(live="v1"), "v1 is live instead of v2"),
        (FakeDeployer(fail=Refused("no right")), "no right"),
    ],
)
def test_the_preflight_refuses_what_cannot_be_done(target: FakeDeployer, reason: str) -> None:
    outcome = Rollback(target, FakeScorer(_comparison("better"))).preflight(cases.action())

    assert (outcome.phase, outcome.reason) == (Phase.FAILED, reason)


@dataclass
class _Away(FakeScorer):
    """Cannot reach the files it would compare."""

    def compare(
        self,
        model: str,
        current: str,
        target: str,
        since: float | None = None,
        left_out: LeftOut = NOTHING,
    ) -> Comparison:
        raise Unreachable("no route")


@pytest.mark.parametrize(
    ("target", "scorer"),
    [
        (FakeDeployer(fail=Unreachable("no route")), FakeScorer(_comparison("better"))),
        (FakeDeployer(), _Away()),
    ],
)
def test_an_outage_refuses_nothing_for_good_but_asks_a_person(
    target: FakeDeployer, scorer: FakeScorer
) -> None:
    outcome = Rollback(target, scorer).preflight(cases.action())

    assert (outcome.phase, outcome.reason) == (Phase.ERROR, "no route")
    assert target.switches == []


def test_a_crash_after_the_switch_is_found_done() -> None:
    target = FakeDeployer(crash_after={3})
    with pytest.raises(Crash):
        Rollback(target).run(cases.action())

    outcome = Rollback(target).run(cases.action())

    assert (outcome.phase, outcome.reason) == (Phase.SUCCESSFUL, "v1 is already live")
    assert target.switches == ["v1"]
