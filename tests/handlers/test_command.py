"""Command: the user's own orders, carried once and answered."""

from __future__ import annotations

import pytest

from tests.fakes import FakeApplication
from tests.handlers import cases
from watchkeeper.detectors.types import Scalar
from watchkeeper.handlers.checks import HandlerTrial, check_handler
from watchkeeper.handlers.command import Command, Order
from watchkeeper.handlers.types import Kind, Phase

_RESTART = Order(Kind.SERVING, "restart", {"grace_s": 5}, "start")


def _trial() -> HandlerTrial:
    application = FakeApplication()
    return HandlerTrial(
        handler=lambda: Command(application, (_RESTART,)),
        effects=lambda: len(application.orders),
        incident=cases.incident(Kind.SERVING),
        context=cases.context(),
    )


def test_it_passes_the_checks_of_every_handler() -> None:
    check_handler(_trial)


def test_the_order_carries_its_arguments_and_the_place() -> None:
    application = FakeApplication()
    handler = Command(application, (_RESTART,))
    action = handler.plan(cases.incident(Kind.SERVING, "v2"), cases.context())
    assert action is not None

    outcome = handler.run(action)

    assert outcome.phase is Phase.SUCCESSFUL
    assert application.orders == {action.id: ("restart", {"grace_s": 5, "place": "v2"})}


def test_a_place_that_is_no_plain_word_is_not_passed_on() -> None:
    handler = Command(FakeApplication(), (_RESTART,))

    for place in ("; rm -rf /", "$(id)", "--flag", "a\nb", ""):
        action = handler.plan(cases.incident(Kind.SERVING, place), cases.context())

        assert action is not None
        assert action.args["place"] == ""


def test_another_kind_of_fault_gets_no_order() -> None:
    assert Command(FakeApplication(), (_RESTART,)).plan(cases.incident(), cases.context()) is None


def test_no_answer_in_time_is_inconclusive() -> None:
    handler = Command(FakeApplication(phase=None), (_RESTART,), timeout=0.01)
    action = handler.plan(cases.incident(Kind.SERVING), cases.context())
    assert action is not None

    assert handler.run(action).phase is Phase.INCONCLUSIVE


def test_an_order_without_its_opposite_cannot_be_taken_back() -> None:
    application = FakeApplication()
    handler = Command(application, (Order(Kind.SERVING, "restart"),))
    action = handler.plan(cases.incident(Kind.SERVING), cases.context())
    assert action is not None

    assert handler.undo(action).phase is Phase.INCONCLUSIVE
    assert application.orders == {}


@pytest.mark.parametrize("verb", ["", "Restart", "-x", "rm -rf", "a;b", "a\n", "x" * 65])
def test_a_verb_that_is_no_word_is_refused(verb: str) -> None:
    with pytest.raises(ValueError, match="verb"):
        Order(Kind.SERVING, verb)


@pytest.mark.parametrize("args", [{"a b": 1}, {"a": "; rm -rf"}, {"a": "$(x)"}, {"a": "--flag"}])
def test_an_argument_that_is_no_word_is_refused(args: dict[str, Scalar]) -> None:
    with pytest.raises(ValueError, match="argument"):
        Order(Kind.SERVING, "restart", args)
