"""New actions: planned once, with an id that is the same however often they are planned."""

from __future__ import annotations

import msgspec

from tests.handlers import cases
from watchkeeper.handlers.planning import new_action, planned
from watchkeeper.handlers.types import Action


def _new(target: str = "v1", attempt: int = 1) -> Action:
    incident, context = cases.incident(), cases.context()
    return new_action(incident, context, "rollback", "go back", {}, target=target, attempt=attempt)


def test_an_actions_id_depends_on_its_target_and_attempt_alone() -> None:
    assert _new() == _new()
    assert len({_new().id, _new("v0").id, _new(attempt=2).id}) == 3


def test_an_action_counts_for_its_own_incident_and_kind() -> None:
    ours = _new()
    others = msgspec.structs.replace(ours, incident_id="inc-0")

    assert planned(cases.incident(), cases.context(actions=(ours,)), "rollback")
    assert not planned(cases.incident(), cases.context(actions=(ours,)), "promote")
    assert not planned(cases.incident(), cases.context(actions=(others,)), "rollback")
