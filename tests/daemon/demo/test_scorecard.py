from __future__ import annotations

import pytest

from tests.daemon.demo.cases import START, action, incident
from watchkeeper.daemon.demo.faults import Fault
from watchkeeper.daemon.demo.scorecard import GRACE_S, Case, FalsePage, belongs, score, total
from watchkeeper.detectors.types import Severity
from watchkeeper.handlers.types import Action, ActionState, Incident, Kind

DATA = Fault("nulls", "fraud", Kind.DATA, START, START + 600, "broken", "mended")
BAD = Fault("bad", "fraud", Kind.MODEL, START, START + 600, "broken", "mended", deploys="v2")
ENDS = {"nulls": START + 600, "bad": START + 600}


def only(fault: Fault, incidents: list[Incident], *actions: Action) -> Case:
    cases, _ = score([fault], ENDS, incidents, actions)
    return cases[0]


def test_a_fault_nobody_saw_is_neither_found_nor_located_nor_handled() -> None:
    case = only(DATA, [])

    assert (case.found, case.located, case.handled) == (False, False, False)
    assert case.found_after_s is None


def test_a_fault_is_found_by_an_incident_of_its_model_while_it_lasts() -> None:
    case = only(DATA, [incident("fraud", START + 90)])

    assert case.found
    assert case.found_after_s == 90
    assert not case.located
    assert not case.handled


def test_it_is_located_when_the_verdict_is_its_kind() -> None:
    assert only(DATA, [incident("fraud", START + 90, kind=Kind.DATA)]).located
    assert not only(DATA, [incident("fraud", START + 90, kind=Kind.MODEL)]).located


def test_the_first_incident_of_a_fault_counts() -> None:
    first = incident("fraud", START + 90, kind=Kind.HOST)
    second = incident("fraud", START + 200, kind=Kind.DATA)

    case = only(DATA, [second, first])

    assert case.incident == first.id
    assert not case.located


def test_it_is_handled_when_the_incident_resolves_after_the_fault_has_ended() -> None:
    case = only(DATA, [incident("fraud", START + 90, resolved_at=START + 800)])

    assert case.handled
    assert case.resolved_after_s == 800


def test_an_incident_that_resolves_while_the_fault_lasts_has_handled_nothing() -> None:
    assert not only(DATA, [incident("fraud", START + 90, resolved_at=START + 500)]).handled


@pytest.mark.parametrize(
    ("state", "handled"),
    [(ActionState.SUCCESSFUL, True), (ActionState.HELD, False), (ActionState.UNDONE, False)],
)
def test_a_bad_version_is_handled_only_by_a_rollback_that_succeeded(
    state: ActionState, handled: bool
) -> None:
    about = incident("fraud", START + 90, resolved_at=START + 800)

    assert only(BAD, [about], action(about, state)).handled is handled


def test_another_kind_of_action_does_not_handle_a_bad_version() -> None:
    about = incident("fraud", START + 90, resolved_at=START + 800)

    assert not only(BAD, [about], action(about, ActionState.SUCCESSFUL, kind="command")).handled


def test_a_rollback_of_another_incident_does_not_count() -> None:
    about = incident("fraud", START + 90, resolved_at=START + 800)
    other = incident("fraud", START - 9_000, resolved_at=START - 8_000)

    assert not only(BAD, [about], action(other, ActionState.SUCCESSFUL)).handled


@pytest.mark.parametrize(
    ("opened", "mine"),
    [(-1.0, False), (0.0, True), (600.0 + GRACE_S, True), (601.0 + GRACE_S, False)],
)
def test_the_edges_of_a_fault(opened: float, mine: bool) -> None:
    assert belongs(incident("fraud", START + opened), DATA, DATA.end) is mine


def test_an_incident_of_another_model_is_about_another_fault() -> None:
    assert not belongs(incident("churn", START + 90), DATA, DATA.end)


def test_a_page_without_a_fault_is_false_and_a_warning_is_no_page() -> None:
    page = incident("churn", START + 90)
    warning = incident("image", START + 90, severity=Severity.WARNING)
    right = incident("fraud", START + 90)
    again = incident("fraud", START + 300)

    _, pages = score([DATA], ENDS, [page, warning, right, again], [])

    assert [p.incident for p in pages] == [page.id]


def test_the_card_adds_up() -> None:
    good = Case("a", "m", Kind.DATA, True, True, True, found_after_s=60.0)
    half = Case("b", "m", Kind.HOST, True, False, False, found_after_s=120.0)
    none = Case("c", "m", Kind.HOST, False, False, False)
    page = FalsePage("inc-1", "m", "title", START)

    card = total((good, half, none), (page,), seconds=1.2345, simulated_s=3_600.0)

    assert (card.faults, card.found, card.located, card.handled) == (3, 2, 1, 1)
    assert card.false_pages == 1
    assert card.seconds == 1.23
    assert card.mean_delay_s == 90.0


def test_a_card_without_finds_has_no_mean_delay() -> None:
    assert total((), (), seconds=0.0, simulated_s=0.0).mean_delay_s is None
