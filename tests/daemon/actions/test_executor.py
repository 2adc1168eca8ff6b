"""The executor: one at a time a model, everything comes back as an outcome, nothing twice."""

from __future__ import annotations

import pytest

from tests.daemon.actions.gates import (
    WAIT_S,
    FakeClaims,
    Gate,
    SlowCheck,
    an_action,
    executor_of,
    outcomes_of,
)
from tests.fakes import FakeDeployer
from tests.handlers import cases
from watchkeeper.daemon.actions.executor import Executor, Submitted
from watchkeeper.handlers.errors import Interrupted
from watchkeeper.handlers.rollback import Rollback
from watchkeeper.handlers.types import ActionState, Handler, Phase


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (ActionState.PLANNED, "preflight"),
        (ActionState.PERMITTED, "run"),
        (ActionState.STARTED, "run"),
        (ActionState.UNDOING, "undo"),
    ],
)
def test_the_state_says_which_step_is_run(gate: Gate, state: ActionState, step: str) -> None:
    gate.open.set()
    executor = executor_of(gate)

    executor.submit(an_action(1, state=state))

    (outcome,) = outcomes_of(executor)
    assert (outcome.step, outcome.phase) == (step, Phase.SUCCESSFUL)


@pytest.mark.parametrize("state", [ActionState.HELD, ActionState.REFUSED, ActionState.SUCCESSFUL])
def test_an_action_that_waits_for_a_person_or_has_ended_asks_for_nothing(
    gate: Gate, state: ActionState
) -> None:
    assert executor_of(gate).submit(an_action(1, state=state)) is Submitted.IDLE


def test_a_started_row_and_the_lease_come_before_the_call(gate: Gate) -> None:
    claims = FakeClaims()
    executor = executor_of(gate, claims=claims)

    executor.submit(an_action(1))

    assert gate.inside.acquire(timeout=WAIT_S)
    assert claims.claimed == [("act-1", "run", "churn")]
    assert set(claims.held) == {"churn"}
    gate.open.set()
    outcomes_of(executor)
    assert claims.held == {}


def test_two_actions_never_run_on_one_model(gate: Gate) -> None:
    executor = executor_of(gate)

    executor.submit(an_action(1))
    executor.submit(an_action(2))
    executor.submit(an_action(3, model="fraud"))

    assert all(gate.inside.acquire(timeout=WAIT_S) for _ in range(2))
    assert {name for name, _ in gate.seen} == {"act-1", "act-3"}
    gate.open.set()
    assert {outcome.action_id for outcome in outcomes_of(executor, 3)} == {
        "act-1",
        "act-2",
        "act-3",
    }


def test_no_more_run_at_once_than_allowed(gate: Gate) -> None:
    executor = executor_of(gate, threads=2)

    for number in range(5):
        executor.submit(an_action(number, model=f"m{number}"))

    assert all(gate.inside.acquire(timeout=WAIT_S) for _ in range(2))
    assert len(gate.seen) == 2
    gate.open.set()
    assert len(outcomes_of(executor, 5)) == 5


def test_a_long_retraining_holds_up_no_rollback_of_the_same_model(gate: Gate) -> None:
    target = FakeDeployer()
    claims = FakeClaims()
    handlers: dict[str, Handler] = {"retrain": gate, "rollback": Rollback(target)}
    executor = Executor(handlers, claims, threads=1)

    executor.submit(an_action(1, kind="retrain"))
    executor.submit(cases.action())

    assert [outcome.action_id for outcome in outcomes_of(executor)] == ["act-rollback"]
    assert target.switches == ["v1"]
    assert set(claims.held) == {"churn:retrain"}


def test_an_action_is_taken_up_once(gate: Gate) -> None:
    executor = executor_of(gate)

    answers = [executor.submit(an_action(1)) for _ in range(3)]

    assert answers == [Submitted.ACCEPTED, Submitted.KNOWN, Submitted.KNOWN]
    gate.open.set()
    assert len(outcomes_of(executor)) == 1
    assert gate.seen == [("act-1", "run")]


def test_what_waits_is_bounded(gate: Gate) -> None:
    executor = executor_of(gate, capacity=3)

    answers = [executor.submit(an_action(number)) for number in range(4)]

    assert answers[-1] is Submitted.FULL
    gate.open.set()
    outcomes_of(executor, 3)
    assert executor.submit(an_action(9)) is Submitted.ACCEPTED


def test_what_a_handler_raises_is_an_outcome(gate: Gate) -> None:
    gate.open.set()
    gate.raises = KeyError("to_version")
    executor = executor_of(gate)

    executor.submit(an_action(1))

    (outcome,) = outcomes_of(executor)
    assert outcome.phase is Phase.ERROR
    assert outcome.reason == "KeyError: 'to_version'"


def test_an_unknown_kind_is_an_outcome(gate: Gate) -> None:
    executor = executor_of(gate)

    executor.submit(an_action(1, kind="dance"))

    (outcome,) = outcomes_of(executor)
    assert (outcome.phase, outcome.reason) == (Phase.ERROR, "no handler is named dance")


def test_an_overdue_action_is_given_up_once_with_what_waits_behind_it(gate: Gate) -> None:
    now = [0.0]
    executor = executor_of(gate, limits_s={"gate": 30.0}, monotonic=lambda: now[0])
    executor.submit(an_action(1))
    assert gate.inside.acquire(timeout=WAIT_S)
    executor.submit(an_action(2))

    now[0] = 31.0
    first, second = executor.outcomes()

    assert (first.action_id, first.phase) == ("act-1", Phase.INCONCLUSIVE)
    assert (second.action_id, second.phase) == ("act-2", Phase.INCONCLUSIVE)
    assert second.reason == "not begun: an earlier action on this model has not ended"
    assert gate.seen == [("act-1", "run")]
    gate.open.set()
    assert executor.drain(WAIT_S)
    assert executor.outcomes() == []


def test_hung_handlers_stop_no_action_of_another_model(gate: Gate) -> None:
    now, target = [0.0], FakeDeployer()
    handlers: dict[str, Handler] = {"gate": gate, "rollback": Rollback(target)}
    executor = Executor(handlers, FakeClaims(), threads=2, monotonic=lambda: now[0])
    for number in range(2):
        executor.submit(an_action(number, model=f"m{number}"))
    assert all(gate.inside.acquire(timeout=WAIT_S) for _ in range(2))
    executor.submit(cases.action())

    now[0] = executor.limit_s + 1.0
    first, second, third = outcomes_of(executor, 3)

    assert (first.phase, second.phase) == (Phase.INCONCLUSIVE, Phase.INCONCLUSIVE)
    assert (third.action_id, third.phase) == ("act-rollback", Phase.SUCCESSFUL)
    assert target.switches == ["v1"]


def test_a_step_that_cannot_begin_in_time_ends_with_the_reason(gate: Gate) -> None:
    now = [0.0]
    limits = {"gate": 1_000.0, "slow": 30.0}
    executor = executor_of(gate, threads=1, limits_s=limits, monotonic=lambda: now[0])
    executor.submit(an_action(1))
    assert gate.inside.acquire(timeout=WAIT_S)
    executor.submit(an_action(2, model="fraud", kind="slow"))

    now[0] = executor.patience * 30.0 - 1.0
    early = executor.outcomes()
    now[0] += 2.0
    (late,) = executor.outcomes()

    assert early == []
    assert (late.action_id, late.phase) == ("act-2", Phase.INCONCLUSIVE)
    assert late.reason == "not begun: too many other actions were under way for too long"


def test_a_preflight_check_has_no_more_time_for_its_action_taking_long(gate: Gate) -> None:
    now = [0.0]
    slow = SlowCheck(open=gate.open)
    executor = Executor(
        {"gate": slow}, FakeClaims(), limits_s={"gate": 4_000.0}, monotonic=lambda: now[0]
    )
    executor.submit(an_action(1, state=ActionState.PLANNED))
    assert slow.inside.acquire(timeout=WAIT_S)

    now[0] = executor.limit_s + 1.0

    (outcome,) = executor.outcomes()
    assert (outcome.step, outcome.phase) == ("preflight", Phase.INCONCLUSIVE)


def test_draining_waits_for_what_runs_and_drops_what_waits(gate: Gate) -> None:
    executor = executor_of(gate)
    executor.submit(an_action(1))
    executor.submit(an_action(2))
    assert gate.inside.acquire(timeout=WAIT_S)

    in_vain = executor.drain(0.02)
    gate.open.set()
    drained = executor.drain(WAIT_S)

    assert (in_vain, drained) == (False, True)
    assert [outcome.action_id for outcome in executor.outcomes()] == ["act-1"]
    assert executor.submit(an_action(3)) is Submitted.CLOSED


def test_an_interrupted_action_has_no_outcome_and_is_run_again_at_the_next_start(
    gate: Gate,
) -> None:
    gate.open.set()
    gate.raises = Interrupted("stopping")
    first = executor_of(gate)
    first.submit(an_action(1))
    assert first.drain(WAIT_S)
    gate.raises = None
    second = executor_of(gate)

    second.submit(an_action(1, state=ActionState.STARTED))

    assert first.outcomes() == []
    assert [outcome.phase for outcome in outcomes_of(second)] == [Phase.SUCCESSFUL]


def test_a_rollback_cut_short_by_a_crash_is_reconciled_and_deploys_once() -> None:
    target = FakeDeployer()
    target.switch("churn", "v1", "act-rollback")
    executor = Executor({"rollback": Rollback(target)}, FakeClaims())

    executor.submit(cases.action(state=ActionState.STARTED))

    assert [o.reason for o in outcomes_of(executor)] == ["v1 is already live"]
    assert target.switches == ["v1"]
