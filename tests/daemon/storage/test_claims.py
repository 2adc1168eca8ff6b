"""Nobody begins what somebody else has begun, and nothing begins that is not permitted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.daemon.storage.examples import T0, action, incident
from watchkeeper.daemon.actions.executor import Claims as Port
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.handlers.errors import Withdrawn
from watchkeeper.handlers.types import Action, ActionState


def keep(store: Store, *actions: Action) -> None:
    store.commit(Checkpoint(at=T0, epochs={}, incidents=[incident()], actions=actions))


def test_it_is_what_the_executor_needs(store: Store) -> None:
    port: Port = store.claims("a")

    assert isinstance(port, Port)


def test_a_claim_starts_the_action_before_anything_is_done(store: Store) -> None:
    keep(store, action())

    token = store.claims("a").claim(action().id, "run", "fraud")

    assert token is not None
    stored = store.records.action(action().id)
    assert stored is not None
    assert stored.state is ActionState.STARTED
    (run,) = store.claims("a").started()
    assert (run.holder, run.token, run.step) == ("a", token, "run")
    store.claims("a").claim(action().id, "run", "fraud")
    (line,) = store.records.audit()
    assert (line.actor, line.verb, line.target) == ("a", "started", action().id)


def test_another_instance_waits_for_the_lease(store: Store) -> None:
    keep(store, action())
    mine, other = store.claims("a"), store.claims("b")
    token = mine.claim(action().id, "run", "fraud")
    assert token is not None

    assert other.claim(action().id, "run", "fraud") is None
    mine.release("fraud", token)
    again = other.claim(action().id, "run", "fraud")

    assert again is not None
    assert again > token
    assert not mine.renew("fraud", token)
    assert other.renew("fraud", again)


def test_the_same_instance_gets_the_same_token_again(store: Store) -> None:
    keep(store, action())
    claims = store.claims("a")

    assert claims.claim(action().id, "run", "x") == claims.claim(action().id, "run", "x")


def test_a_crashed_instances_lease_expires(store: Store) -> None:
    keep(store, action())
    dead = store.claims("a", ttl_s=0.0).claim(action().id, "run", "fraud")
    assert dead is not None

    token = store.claims("b").claim(action().id, "run", "fraud")

    assert token is not None
    assert token > dead


@pytest.mark.parametrize(
    "state",
    [ActionState.PLANNED, ActionState.HELD, ActionState.REFUSED, ActionState.SUCCESSFUL],
)
def test_what_is_not_permitted_any_more_is_not_waited_for(store: Store, state: ActionState) -> None:
    keep(store, action(state=state))

    with pytest.raises(Withdrawn, match=f"the action is {state}: there is nothing to run"):
        store.claims("a").claim(action().id, "run", "fraud")
    with pytest.raises(Withdrawn, match="the action is unknown"):
        store.claims("a").claim("act-unknown", "run", "fraud")

    assert store.claims("a").started() == []


def test_an_undo_is_begun_beside_the_run(store: Store) -> None:
    keep(store, action())
    store.claims("a").claim(action().id, "run", "fraud")
    keep(store, action(state=ActionState.UNDOING))

    store.claims("a").claim(action().id, "undo", "fraud")

    (run,) = store.claims("a").started()
    assert run.step == "undo"
    assert run.action.state is ActionState.UNDOING


def test_of_many_at_once_one_begins(store: Store) -> None:
    keep(store, action())

    def claim(number: int) -> int | None:
        return store.claims(f"instance-{number}").claim(action().id, "run", "fraud")

    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(claim, range(8)))

    assert sum(token is not None for token in tokens) == 1
