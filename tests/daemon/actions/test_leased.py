"""No action is run without its lease, nor where the database does not answer in time."""

from __future__ import annotations

from dataclasses import dataclass

from tests.daemon.actions.gates import WAIT_S, FakeClaims, Gate, an_action, executor_of, outcomes_of
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.handlers.errors import Withdrawn
from watchkeeper.handlers.types import Phase


def test_a_lease_held_elsewhere_is_waited_for_and_then_left(gate: Gate) -> None:
    claims = FakeClaims(foreign={"churn"})
    executor = executor_of(gate, claims=claims, claim_wait_s=0.05, claim_retry_s=0.01)

    executor.submit(an_action(1))

    (outcome,) = outcomes_of(executor)
    assert (outcome.phase, gate.seen) == (Phase.INCONCLUSIVE, [])


def test_an_expired_lease_is_taken_over(gate: Gate) -> None:
    gate.open.set()
    claims = FakeClaims(foreign={"churn"})
    executor = executor_of(gate, claims=claims, claim_retry_s=0.01)
    executor.submit(an_action(1))

    claims.foreign.clear()

    assert [outcome.phase for outcome in outcomes_of(executor)] == [Phase.SUCCESSFUL]


def test_the_lease_of_a_hung_handler_stays_closed(gate: Gate) -> None:
    now = [0.0]
    executor = executor_of(gate, monotonic=lambda: now[0])
    executor.submit(an_action(1))
    assert gate.inside.acquire(timeout=WAIT_S)
    now[0] = executor.limit_s + 1.0
    executor.outcomes()

    executor.submit(an_action(2))

    (outcome,) = executor.outcomes()
    assert outcome.reason == "not begun: an earlier action on this model has not ended"
    assert gate.seen == [("act-1", "run")]


def test_leases_of_what_runs_are_renewed(gate: Gate) -> None:
    claims = FakeClaims()
    executor = executor_of(gate, claims=claims)
    executor.submit(an_action(1))
    assert gate.inside.acquire(timeout=WAIT_S)

    executor.renew()

    assert claims.renewed == ["churn"]


def test_a_failing_claim_is_an_outcome_and_runs_nothing(gate: Gate) -> None:
    class Broken(FakeClaims):
        def claim(self, action_id: str, step: str, lease: str) -> int | None:
            raise OSError("the database is away")

    executor = executor_of(gate, claims=Broken())

    executor.submit(an_action(1))

    (outcome,) = outcomes_of(executor)
    assert (outcome.phase, gate.seen) == (Phase.ERROR, [])


@dataclass
class Flaky(FakeClaims):
    """Storage that is away for the first `outage` claims."""

    outage: int = 0

    def claim(self, action_id: str, step: str, lease: str) -> int | None:
        self.outage -= 1
        if self.outage >= 0:
            raise DatabaseDown("the server closed the connection")
        return super().claim(action_id, step, lease)


def test_an_outage_of_the_database_is_waited_out_before_acting(gate: Gate) -> None:
    gate.open.set()
    executor = executor_of(gate, claims=Flaky(outage=3), claim_retry_s=0.01)

    executor.submit(an_action(1))

    (outcome,) = outcomes_of(executor)
    assert (outcome.phase, gate.seen) == (Phase.SUCCESSFUL, [("act-1", "run")])


def test_an_outage_beyond_the_wait_is_an_error_and_runs_nothing(gate: Gate) -> None:
    settings = {"claim_wait_s": 0.05, "claim_retry_s": 0.01}
    executor = executor_of(gate, claims=Flaky(outage=1_000), **settings)

    executor.submit(an_action(1))

    (outcome,) = outcomes_of(executor)
    assert (outcome.phase, gate.seen) == (Phase.ERROR, [])
    assert outcome.reason == "DatabaseDown: the server closed the connection"


def test_an_action_that_was_taken_back_meanwhile_is_dropped_without_an_outcome(gate: Gate) -> None:
    class TakenBack(FakeClaims):
        def claim(self, action_id: str, step: str, lease: str) -> int | None:
            raise Withdrawn(f"{action_id} is refused by now")

    executor = executor_of(gate, claims=TakenBack())

    executor.submit(an_action(1))

    assert executor.drain(WAIT_S)
    assert (executor.outcomes(), gate.seen) == ([], [])
