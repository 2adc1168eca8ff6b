"""Notify: a message when nothing else helps, the same one however often it is sent."""

from __future__ import annotations

import msgspec
import pytest

from tests.fakes import FakeDeployer
from tests.handlers import cases
from tests.handlers.web import Answer, Request, serving
from watchkeeper.handlers.checks import HandlerTrial, check_handler
from watchkeeper.handlers.egress import Egress
from watchkeeper.handlers.notify import Notify
from watchkeeper.handlers.rollback import Rollback
from watchkeeper.handlers.types import Action, ActionState, IncidentState, Kind, Phase

_WEBHOOK = Egress("https://hooks.example.org/watch")


def _handler(url: str) -> Notify:
    return Notify(Egress(f"{url}/hook?room=7", ("127.0.0.1",)), (Rollback(FakeDeployer()),))


def test_it_passes_the_checks_of_every_handler() -> None:
    keys: set[str] = set()

    def answer(request: Request) -> Answer:
        keys.add(request.headers["idempotency-key"])
        return Answer(body=b"thanks")

    def trial() -> HandlerTrial:
        keys.clear()
        incident = cases.incident(Kind.DATA)
        return HandlerTrial(lambda: _handler(url), lambda: len(keys), incident, cases.context())

    with serving(answer) as url:
        check_handler(trial)


def test_the_message_names_the_incident_and_its_fault() -> None:
    requests: list[Request] = []

    def answer(request: Request) -> Answer:
        requests.append(request)
        return Answer(204, b"")

    with serving(answer) as url:
        action = _handler(url).plan(cases.incident(Kind.DATA), cases.context())
        assert action is not None
        outcome = _handler(url).run(action)

    assert outcome.phase is Phase.SUCCESSFUL
    (request,) = requests
    assert (request.path, request.query) == ("/hook", {"room": "7"})
    assert request.headers["idempotency-key"] == action.id
    sent = msgspec.json.decode(request.body, type=dict[str, object])
    assert (sent["incident"], sent["model"], sent["fault"]) == ("inc-1", "churn", "data")


@pytest.mark.parametrize(("status", "phase"), [(410, Phase.FAILED), (500, Phase.ERROR)])
def test_a_no_is_an_outcome(status: int, phase: Phase) -> None:
    action = Notify(_WEBHOOK).plan(cases.incident(), cases.context())
    assert action is not None

    with serving(lambda _: Answer(status)) as url:
        assert _handler(url).run(action).phase is phase


def test_a_remedy_at_hand_or_under_way_needs_no_message() -> None:
    rollback = Rollback(FakeDeployer())
    started = cases.context(actions=(cases.action(state=ActionState.STARTED),))

    assert Notify(_WEBHOOK, (rollback,)).plan(cases.incident(), cases.context()) is None
    assert Notify(_WEBHOOK, (rollback,)).plan(cases.incident(), started) is None


_FAILURES = (
    ActionState.FAILED,
    ActionState.ERROR,
    ActionState.INCONCLUSIVE,
    ActionState.UNDONE,
    ActionState.SUCCESSFUL,  # it did not help and could not be undone
)


def _told(kind: Kind = Kind.MODEL) -> Action:
    """The first message of an incident, sent."""
    action = Notify(_WEBHOOK).plan(cases.incident(kind), cases.context())
    assert action is not None
    return msgspec.structs.replace(action, state=ActionState.SUCCESSFUL)


@pytest.mark.parametrize("state", _FAILURES)
def test_a_remedy_that_did_not_help_needs_a_message_whatever_else_could_be_planned(
    state: ActionState,
) -> None:
    tried = cases.context(actions=(cases.action("command", state),))

    action = Notify(_WEBHOOK, (Rollback(FakeDeployer()),)).plan(cases.incident(), tried)

    assert action is not None
    assert (action.attempt, action.summary) == (
        1,
        "tell the webhook, since the remedy did not help",
    )


@pytest.mark.parametrize("state", _FAILURES)
def test_a_hand_over_after_the_first_message_is_told_too_and_once(state: ActionState) -> None:
    first, tried = _told(), cases.action(state=state)
    handler = Notify(_WEBHOOK, (Rollback(FakeDeployer()),))

    second = handler.plan(cases.incident(), cases.context(actions=(first, tried)))

    assert second is not None
    assert (second.attempt, second.id == first.id) == (2, False)
    sent = msgspec.structs.replace(second, state=ActionState.SUCCESSFUL)
    later = cases.context(actions=(first, tried, sent, cases.action("command", state)))
    assert handler.plan(cases.incident(), later) is None


@pytest.mark.parametrize("unknown", [Kind.UNKNOWN, Kind.DATA])
def test_what_has_no_remedy_is_told_once(unknown: Kind) -> None:
    handler = Notify(_WEBHOOK, (Rollback(FakeDeployer()),))

    assert handler.plan(cases.incident(unknown), cases.context())
    again = handler.plan(cases.incident(unknown), cases.context(actions=(_told(unknown),)))
    assert again is None


def test_an_incident_that_comes_back_after_its_remedy_is_told() -> None:
    returned = msgspec.structs.replace(cases.incident(), state=IncidentState.REGRESSED)
    done = cases.context(actions=(_told(), cases.action(state=ActionState.SUCCESSFUL)))

    second = Notify(_WEBHOOK, (Rollback(FakeDeployer()),)).plan(returned, done)

    assert second is not None
    assert second.attempt == 2


def test_a_refused_remedy_is_no_hand_over() -> None:
    refused = cases.action(state=ActionState.REFUSED)
    handler = Notify(_WEBHOOK, (Rollback(FakeDeployer()),))

    assert handler.plan(cases.incident(), cases.context(actions=(_told(), refused))) is None


def test_nothing_is_said_while_recovery_is_watched() -> None:
    verifying = msgspec.structs.replace(cases.incident(), state=IncidentState.VERIFYING)
    done = cases.context(actions=(cases.action(state=ActionState.SUCCESSFUL),))

    assert Notify(_WEBHOOK, (Rollback(FakeDeployer()),)).plan(verifying, done) is None
