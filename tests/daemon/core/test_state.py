"""What the core remembers, and how it goes on without it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.daemon.storage.examples import T0, action, incident
from watchkeeper.daemon.core.model import Health, ModelState
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import StateError
from watchkeeper.handlers.rules import RULES
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Incident,
    IncidentState,
    Outcome,
    Phase,
)


def seeded(about: Incident, *actions: Action) -> ModelState:
    state = State(lambda _: ModelPolicy(watches=DEFAULT_WATCHES))
    state.seed("fraud", [about, incident(model="churn")], actions)
    return state.models["fraud"]


def test_an_open_incident_goes_on_with_its_harm_counted_afresh() -> None:
    about = incident(state=IncidentState.VERIFYING, revision=3)

    state = seeded(about)

    assert state.incident is about
    assert state.health == [Health("feature.missing", "f1", "threshold")]
    assert state.verify_since == T0 + 120.0
    assert state.planned_for == ""


@pytest.mark.parametrize(
    ("end", "person"),
    [
        (ActionState.ERROR, "person"),
        (ActionState.INCONCLUSIVE, "person"),
        (ActionState.SUCCESSFUL, ""),
        (ActionState.REFUSED, ""),
    ],
)
def test_an_incident_on_which_an_action_failed_stays_with_a_person(
    end: ActionState, person: str
) -> None:
    done = action(state=end)

    state = seeded(replace(incident(), actions=(done.id,)), done)

    assert state.planned_for == person


@pytest.mark.parametrize(
    ("end", "faulty"),
    [(ActionState.SUCCESSFUL, ["13"]), (ActionState.UNDONE, ["13"]), (ActionState.REFUSED, [])],
)
def test_a_version_that_was_left_stays_faulty(end: ActionState, faulty: list[str]) -> None:
    state = seeded(incident(), action(state=end))

    assert [v.version for v in state.versions.values() if v.faulty] == faulty
    assert list(state.actions) == [action().id]


def test_a_closed_incident_stays_closed() -> None:
    assert seeded(incident(state=IncidentState.RESOLVED)).incident is None


def test_nothing_is_remembered_of_a_model_that_was_forgotten() -> None:
    asked: list[str] = []

    def policy(name: str) -> ModelPolicy:
        asked.append(name)
        return ModelPolicy(watches=DEFAULT_WATCHES)

    state = State(policy)
    pipeline = Pipeline(state, RULES, ())
    state.model("fraud")
    state.forget(["fraud"])
    left = Outcome("act-1", "fraud", Phase.SUCCESSFUL, "done", T0, "run")

    pipeline.step(Batch([], [], [left], None, now=T0))

    assert asked == ["fraud"]
    assert state._policies == {}
    assert list(state.models) == []


def test_a_row_that_goes_to_another_model_keeps_its_old_name_for_who_holds_the_names() -> None:
    state = State(lambda _: ModelPolicy(watches=DEFAULT_WATCHES))
    row, names = state.model("fraud").row, state.names

    state.forget(["fraud"])
    again = state.model("churn").row

    assert again == row
    assert names[row] == "fraud"
    assert state.names[row] == "churn"


@pytest.mark.parametrize("odd", [None, [], "x", {float("nan"): []}, {"v1": []}, {"v1": None}])
@pytest.mark.parametrize("part", ["learned", "profiles", "former"])
def test_a_part_of_another_form_is_refused_and_leaves_nothing(part: str, odd: object) -> None:
    state = State(lambda _: ModelPolicy(watches=DEFAULT_WATCHES))
    state.model("fraud")
    plain = state.dump("fraud")
    state.forget(["fraud"])
    assert state.load("fraud", plain) == []
    state.forget(["fraud"])

    with pytest.raises(StateError):
        state.load("fraud", {**plain, part: odd})

    assert state.models == {}


def test_a_clock_beyond_all_numbers_is_refused() -> None:
    state = State(lambda _: ModelPolicy(watches=DEFAULT_WATCHES))
    state.model("fraud")
    plain = state.dump("fraud")
    state.forget(["fraud"])
    first, _, *rest = plain["clock"]

    with pytest.raises(StateError):
        state.load("fraud", {**plain, "clock": [first, 2**63, *rest]})
