"""The executor: one at a time a model, everything comes back as an outcome, nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
import pytest

from tests.fakes import FakeDeployer
from tests.handlers import cases
from watchkeeper.daemon.actions.executor import Executor, Submitted
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.handlers.errors import Interrupted, Withdrawn
from watchkeeper.handlers.rollback import Rollback
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Handler,
    Incident,
    Outcome,
    Phase,
)

_WAIT = 10.0


@dataclass
class FakeClaims:
    """Leases in memory; `foreign` leases are held by another instance."""

    foreign: set[str] = field(default_factory=set)
    claimed: list[tuple[str, str, str]] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    renewed: list[str] = field(default_factory=list)
    tokens: int = 0

    def claim(self, action_id: str, step: str, lease: str) -> int | None:
        if lease in self.foreign:
            return None
        self.claimed.append((action_id, step, lease))
        self.tokens += 1
        self.held[lease] = self.tokens
        return self.tokens

    def renew(self, lease: str, token: int) -> bool:
        self.renewed.append(lease)
        return self.held.get(lease) == token

    def release(self, lease: str, token: int) -> None:
        if self.held.get(lease) == token:
            del self.held[lease]


@dataclass
class Gate:
    """A handler that waits at a gate inside `run`, and says who is inside."""

    name: ClassVar[str] = "gate"
    undoable: ClassVar[bool] = True

    open: threading.Event = field(default_factory=threading.Event)
    inside: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    seen: list[tuple[str, str]] = field(default_factory=list)
    raises: Exception | None = None

    def plan(self, incident: Incident, context: Context) -> Action | None:
        return None

    def preflight(self, action: Action) -> Outcome:
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "safe", 0.0, "preflight")

    def run(self, action: Action) -> Outcome:
        self.seen.append((action.id, "run"))
        self.inside.release()
        assert self.open.wait(_WAIT)
        if self.raises is not None:
            raise self.raises
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "done", 0.0)

    def undo(self, action: Action) -> Outcome:
        self.seen.append((action.id, "undo"))
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "undone", 0.0, "undo")


class _SlowCheck(Gate):
    """Waits at the gate inside its preflight check already."""

    def preflight(self, action: Action) -> Outcome:
        self.run(action)
        return super().preflight(action)


def _action(number: int, model: str = "churn", kind: str = "gate", **changed: object) -> Action:
    usual = msgspec.structs.replace(cases.action(kind), id=f"act-{number}", model=model)
    return msgspec.structs.replace(usual, **changed)


def _wait(executor: Executor, count: int = 1) -> list[Outcome]:
    """The next outcomes, waited for with a time-out."""
    found: list[Outcome] = []
    tick = threading.Event()
    for _ in range(int(_WAIT / 0.01)):
        found += executor.outcomes()
        if len(found) >= count:
            return found
        tick.wait(0.01)
    raise AssertionError(f"only {found}")


@pytest.fixture
def gate() -> Iterator[Gate]:
    handler = Gate()
    yield handler
    handler.open.set()


def _executor(gate: Gate, **changed: object) -> Executor:
    settings: dict[str, object] = {"claims": FakeClaims(), **changed}
    return Executor({"gate": gate, "slow": gate}, **settings)  # type: ignore[arg-type]


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
    executor = _executor(gate)

    executor.submit(_action(1, state=state))

    (outcome,) = _wait(executor)
    assert (outcome.step, outcome.phase) == (step, Phase.SUCCESSFUL)


@pytest.mark.parametrize("state", [ActionState.HELD, ActionState.REFUSED, ActionState.SUCCESSFUL])
def test_an_action_that_waits_for_a_person_or_has_ended_asks_for_nothing(
    gate: Gate, state: ActionState
) -> None:
    assert _executor(gate).submit(_action(1, state=state)) is Submitted.IDLE


def test_a_started_row_and_the_lease_come_before_the_call(gate: Gate) -> None:
    claims = FakeClaims()
    executor = _executor(gate, claims=claims)

    executor.submit(_action(1))

    assert gate.inside.acquire(timeout=_WAIT)
    assert claims.claimed == [("act-1", "run", "churn")]
    assert set(claims.held) == {"churn"}
    gate.open.set()
    _wait(executor)
    assert claims.held == {}


def test_two_actions_never_run_on_one_model(gate: Gate) -> None:
    executor = _executor(gate)

    executor.submit(_action(1))
    executor.submit(_action(2))
    executor.submit(_action(3, model="fraud"))

    assert all(gate.inside.acquire(timeout=_WAIT) for _ in range(2))
    assert {name for name, _ in gate.seen} == {"act-1", "act-3"}
    gate.open.set()
    assert {outcome.action_id for outcome in _wait(executor, 3)} == {"act-1", "act-2", "act-3"}


def test_no_more_run_at_once_than_allowed(gate: Gate) -> None:
    executor = _executor(gate, threads=2)

    for number in range(5):
        executor.submit(_action(number, model=f"m{number}"))

    assert all(gate.inside.acquire(timeout=_WAIT) for _ in range(2))
    assert len(gate.seen) == 2
    gate.open.set()
    assert len(_wait(executor, 5)) == 5


def test_a_long_retraining_holds_up_no_rollback_of_the_same_model(gate: Gate) -> None:
    target = FakeDeployer()
    claims = FakeClaims()
    handlers: dict[str, Handler] = {"retrain": gate, "rollback": Rollback(target)}
    executor = Executor(handlers, claims, threads=1)

    executor.submit(_action(1, kind="retrain"))
    executor.submit(cases.action())

    assert [outcome.action_id for outcome in _wait(executor)] == ["act-rollback"]
    assert target.switches == ["v1"]
    assert set(claims.held) == {"churn:retrain"}


def test_an_action_is_taken_up_once(gate: Gate) -> None:
    executor = _executor(gate)

    answers = [executor.submit(_action(1)) for _ in range(3)]

    assert answers == [Submitted.ACCEPTED, Submitted.KNOWN, Submitted.KNOWN]
    gate.open.set()
    assert len(_wait(executor)) == 1
    assert gate.seen == [("act-1", "run")]


def test_what_waits_is_bounded(gate: Gate) -> None:
    executor = _executor(gate, capacity=3)

    answers = [executor.submit(_action(number)) for number in range(4)]

    assert answers[-1] is Submitted.FULL
    gate.open.set()
    _wait(executor, 3)
    assert executor.submit(_action(9)) is Submitted.ACCEPTED


def test_what_a_handler_raises_is_an_outcome(gate: Gate) -> None:
    gate.open.set()
    gate.raises = KeyError("to_version")
    executor = _executor(gate)

    executor.submit(_action(1))

    (outcome,) = _wait(executor)
    assert outcome.phase is Phase.ERROR
    assert outcome.reason == "KeyError: 'to_version'"


def test_an_unknown_kind_is_an_outcome(gate: Gate) -> None:
    executor = _executor(gate)

    executor.submit(_action(1, kind="dance"))

    (outcome,) = _wait(executor)
    assert (outcome.phase, outcome.reason) == (Phase.ERROR, "no handler is named dance")


def test_a_lease_held_elsewhere_is_waited_for_and_then_left(gate: Gate) -> None:
    claims = FakeClaims(foreign={"churn"})
    executor = _executor(gate, claims=claims, claim_wait_s=0.05, claim_retry_s=0.01)

    executor.submit(_action(1))

    (outcome,) = _wait(executor)
    assert (outcome.phase, gate.seen) == (Phase.INCONCLUSIVE, [])


def test_an_expired_lease_is_taken_over(gate: Gate) -> None:
    gate.open.set()
    claims = FakeClaims(foreign={"churn"})
    executor = _executor(gate, claims=claims, claim_retry_s=0.01)
    executor.submit(_action(1))

    claims.foreign.clear()

    assert [outcome.phase for outcome in _wait(executor)] == [Phase.SUCCESSFUL]


def test_an_overdue_action_is_given_up_once_with_what_waits_behind_it(gate: Gate) -> None:
    now = [0.0]
    executor = _executor(gate, limits_s={"gate": 30.0}, monotonic=lambda: now[0])
    executor.submit(_action(1))
    assert gate.inside.acquire(timeout=_WAIT)
    executor.submit(_action(2))

    now[0] = 31.0
    first, second = executor.outcomes()

    assert (first.action_id, first.phase) == ("act-1", Phase.INCONCLUSIVE)
    assert (second.action_id, second.phase) == ("act-2", Phase.INCONCLUSIVE)
    assert second.reason == "not begun: an earlier action on this model has not ended"
    assert gate.seen == [("act-1", "run")]
    gate.open.set()
    assert executor.drain(_WAIT)
    assert executor.outcomes() == []


def test_hung_handlers_stop_no_action_of_another_model(gate: Gate) -> None:
    now, target = [0.0], FakeDeployer()
    handlers: dict[str, Handler] = {"gate": gate, "rollback": Rollback(target)}
    executor = Executor(handlers, FakeClaims(), threads=2, monotonic=lambda: now[0])
    for number in range(2):
        executor.submit(_action(number, model=f"m{number}"))
    assert all(gate.inside.acquire(timeout=_WAIT) for _ in range(2))
    executor.submit(cases.action())

    now[0] = executor.limit_s + 1.0
    first, second, third = _wait(executor, 3)

    assert (first.phase, second.phase) == (Phase.INCONCLUSIVE, Phase.INCONCLUSIVE)
    assert (third.action_id, third.phase) == ("act-rollback", Phase.SUCCESSFUL)
    assert target.switches == ["v1"]


def test_the_lease_of_a_hung_handler_stays_closed(gate: Gate) -> None:
    now = [0.0]
    executor = _executor(gate, monotonic=lambda: now[0])
    executor.submit(_action(1))
    assert gate.inside.acquire(timeout=_WAIT)
    now[0] = executor.limit_s + 1.0
    executor.outcomes()

    executor.submit(_action(2))

    (outcome,) = executor.outcomes()
    assert outcome.reason == "not begun: an earlier action on this model has not ended"
    assert gate.seen == [("act-1", "run")]


def test_a_step_that_cannot_begin_in_time_ends_with_the_reason(gate: Gate) -> None:
    now = [0.0]
    limits = {"gate": 1_000.0, "slow": 30.0}
    executor = _executor(gate, threads=1, limits_s=limits, monotonic=lambda: now[0])
    executor.submit(_action(1))
    assert gate.inside.acquire(timeout=_WAIT)
    executor.submit(_action(2, model="fraud", kind="slow"))

    now[0] = executor.patience * 30.0 - 1.0
    early = executor.outcomes()
    now[0] += 2.0
    (late,) = executor.outcomes()

    assert early == []
    assert (late.action_id, late.phase) == ("act-2", Phase.INCONCLUSIVE)
    assert late.reason == "not begun: too many other actions were under way for too long"


def test_a_preflight_check_has_no_more_time_for_its_action_taking_long(gate: Gate) -> None:
    now = [0.0]
    slow = _SlowCheck(open=gate.open)
    executor = Executor(
        {"gate": slow}, FakeClaims(), limits_s={"gate": 4_000.0}, monotonic=lambda: now[0]
    )
    executor.submit(_action(1, state=ActionState.PLANNED))
    assert slow.inside.acquire(timeout=_WAIT)

    now[0] = executor.limit_s + 1.0

    (outcome,) = executor.outcomes()
    assert (outcome.step, outcome.phase) == ("preflight", Phase.INCONCLUSIVE)


def test_leases_of_what_runs_are_renewed(gate: Gate) -> None:
    claims = FakeClaims()
    executor = _executor(gate, claims=claims)
    executor.submit(_action(1))
    assert gate.inside.acquire(timeout=_WAIT)

    executor.renew()

    assert claims.renewed == ["churn"]


def test_draining_waits_for_what_runs_and_drops_what_waits(gate: Gate) -> None:
    executor = _executor(gate)
    executor.submit(_action(1))
    executor.submit(_action(2))
    assert gate.inside.acquire(timeout=_WAIT)

    in_vain = executor.drain(0.02)
    gate.open.set()
    drained = executor.drain(_WAIT)

    assert (in_vain, drained) == (False, True)
    assert [outcome.action_id for outcome in executor.outcomes()] == ["act-1"]
    assert executor.submit(_action(3)) is Submitted.CLOSED


def test_an_interrupted_action_has_no_outcome_and_is_run_again_at_the_next_start(
    gate: Gate,
) -> None:
    gate.open.set()
    gate.raises = Interrupted("stopping")
    first = _executor(gate)
    first.submit(_action(1))
    assert first.drain(_WAIT)
    gate.raises = None
    second = _executor(gate)

    second.submit(_action(1, state=ActionState.STARTED))

    assert first.outcomes() == []
    assert [outcome.phase for outcome in _wait(second)] == [Phase.SUCCESSFUL]


def test_a_rollback_cut_short_by_a_crash_is_reconciled_and_deploys_once() -> None:
    target = FakeDeployer()
    target.switch("churn", "v1", "act-rollback")
    executor = Executor({"rollback": Rollback(target)}, FakeClaims())

    executor.submit(cases.action(state=ActionState.STARTED))

    assert [o.reason for o in _wait(executor)] == ["v1 is already live"]
    assert target.switches == ["v1"]


def test_a_failing_claim_is_an_outcome_and_runs_nothing(gate: Gate) -> None:
    class Broken(FakeClaims):
        def claim(self, action_id: str, step: str, lease: str) -> int | None:
            raise OSError("the database is away")

    executor = _executor(gate, claims=Broken())

    executor.submit(_action(1))

    (outcome,) = _wait(executor)
    assert (outcome.phase, gate.seen) == (Phase.ERROR, [])


@dataclass
class _Flaky(FakeClaims):
    """Storage that is away for the first `outage` claims."""

    outage: int = 0

    def claim(self, action_id: str, step: str, lease: str) -> int | None:
        self.outage -= 1
        if self.outage >= 0:
            raise DatabaseDown("the server closed the connection")
        return super().claim(action_id, step, lease)


def test_an_outage_of_the_database_is_waited_out_before_acting(gate: Gate) -> None:
    gate.open.set()
    executor = _executor(gate, claims=_Flaky(outage=3), claim_retry_s=0.01)

    executor.submit(_action(1))

    (outcome,) = _wait(executor)
    assert (outcome.phase, gate.seen) == (Phase.SUCCESSFUL, [("act-1", "run")])


def test_an_outage_beyond_the_wait_is_an_error_and_runs_nothing(gate: Gate) -> None:
    settings = {"claim_wait_s": 0.05, "claim_retry_s": 0.01}
    executor = _executor(gate, claims=_Flaky(outage=1_000), **settings)

    executor.submit(_action(1))

    (outcome,) = _wait(executor)
    assert (outcome.phase, gate.seen) == (Phase.ERROR, [])
    assert outcome.reason == "DatabaseDown: the server closed the connection"


def test_an_action_that_was_taken_back_meanwhile_is_dropped_without_an_outcome(gate: Gate) -> None:
    class TakenBack(FakeClaims):
        def claim(self, action_id: str, step: str, lease: str) -> int | None:
            raise Withdrawn(f"{action_id} is refused by now")

    executor = _executor(gate, claims=TakenBack())

    executor.submit(_action(1))

    assert executor.drain(_WAIT)
    assert (executor.outcomes(), gate.seen) == ([], [])
