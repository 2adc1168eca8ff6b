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
from watchkeeper.handlers.types import ActionState, Kind, Phase

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


def test_a_remedy_that_failed_needs_a_message() -> None:
    failed = cases.context(actions=(cases.action(state=ActionState.FAILED),))

    assert Notify(_WEBHOOK, (Rollback(FakeDeployer()),)).plan(cases.incident(), failed)
