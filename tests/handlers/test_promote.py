"""Promote: only a finished, better candidate, judged on what it has not learned from."""

from __future__ import annotations

import msgspec
import pytest

from tests.fakes import FakeDeployer, FakeScorer
from tests.handlers import cases
from watchkeeper.detectors.signals.labels import OTHERS
from watchkeeper.detectors.types import Scalar
from watchkeeper.handlers.checks import HandlerTrial, check_handler
from watchkeeper.handlers.comparing import Comparison
from watchkeeper.handlers.left_out import LeftOut
from watchkeeper.handlers.promote import Promote
from watchkeeper.handlers.types import Action, ActionState, Phase

_RESULT: dict[str, Scalar] = {"candidate": "v3", "better": True, "trained_until": 1_700.0}
_BETTER = Comparison("better", "Brier score", 0.3, 0.1, 0.001, 500)


def _retrained(state: ActionState = ActionState.SUCCESSFUL, **changed: Scalar) -> Action:
    return cases.action("retrain", state, {**_RESULT, **changed})


def _trial() -> HandlerTrial:
    target = FakeDeployer()
    return HandlerTrial(
        handler=lambda: Promote(target, FakeScorer(_BETTER)),
        effects=lambda: len(target.switches),
        incident=cases.incident(),
        context=cases.context(actions=(_retrained(),)),
    )


def test_it_passes_the_checks_of_every_handler() -> None:
    check_handler(_trial)


def test_the_preflight_compares_on_examples_newer_than_the_training() -> None:
    scorer = FakeScorer(_BETTER)
    handler = Promote(FakeDeployer(), scorer)
    action = handler.plan(cases.incident(), cases.context(actions=(_retrained(),)))
    assert action is not None

    outcome = handler.preflight(action)

    assert outcome.phase is Phase.SUCCESSFUL
    assert scorer.asked == [("churn", "v2", "v3", 1_700.0)]


def test_it_is_compared_without_the_labels_that_it_did_not_learn_from() -> None:
    scorer, out = FakeScorer(_BETTER), LeftOut.of(["vendor", OTHERS], ["crew", "vendor", OTHERS])
    retrained = cases.action("retrain", ActionState.SUCCESSFUL, _RESULT | out.args())
    handler = Promote(FakeDeployer(), scorer)
    action = handler.plan(cases.incident(), cases.context(actions=(retrained,)))
    assert action is not None

    outcome = handler.preflight(action)

    assert scorer.left_out == out
    assert "without labels of __other__, vendor" in outcome.reason


@pytest.mark.parametrize(
    ("why", "retraining"),
    [
        ("it still runs", _retrained(ActionState.STARTED)),
        ("it failed", _retrained(ActionState.FAILED)),
        ("the candidate is no better", _retrained(better=False)),
        ("there is no candidate", _retrained(candidate=None)),
        ("the candidate is live", _retrained(candidate="v2")),
        ("it was another incident's", msgspec.structs.replace(_retrained(), incident_id="inc-0")),
    ],
)
def test_it_plans_nothing_when(why: str, retraining: Action) -> None:
    context = cases.context(actions=(retraining,))

    assert Promote(FakeDeployer()).plan(cases.incident(), context) is None, why


def test_an_incident_has_one_promotion() -> None:
    refused = cases.action("promote", ActionState.REFUSED)
    context = cases.context(actions=(_retrained(), refused))

    assert Promote(FakeDeployer()).plan(cases.incident(), context) is None
