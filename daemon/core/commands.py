"""What people and applications ask for, done to the state, with an answer for each command."""

from __future__ import annotations

from collections.abc import Callable

from watchkeeper.daemon.core import incidents, renewing
from watchkeeper.daemon.core.model import ModelState, Renewal
from watchkeeper.daemon.core.planning import Planner
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.detectors.types import Command
from watchkeeper.handlers.types import Action, ActionState, Context, Incident, IncidentState

NOTE_LIMIT = 500  # characters

Contexts = Callable[[ModelState, ModelPolicy], Context]


def obey(
    state: State,
    planner: Planner,
    command: Command,
    step: Step,
    now: float | None,
    context_of: Contexts,
) -> str:
    """Carries out one command; gives "done: ..." or "refused: ..." with the reason."""
    expiry = command.expires_at
    if expiry is not None and now is not None and expiry.timestamp() < now:
        return "refused: the command has expired"
    if command.command in ("approve", "reject"):
        return _decide(state, planner, command, step, context_of)
    if command.command in ("ack", "resolve"):
        return _incident(state, planner, command, step)
    if command.command in ("pause", "resume"):
        return _pause(state, planner, command, step)
    if command.command == "rebaseline":
        return _rebaseline(state, command, step)
    if command.command == "profile":
        return _reference(state, command.target)
    return f"refused: {command.command} is not for the core"


def _decide(
    state: State, planner: Planner, command: Command, step: Step, context_of: Contexts
) -> str:
    found = next((m for m in state.models.values() if command.target in m.actions), None)
    if found is None:
        return f"refused: no action {command.target}"
    action, before = found.actions[command.target], found.incident
    if action.state is not ActionState.HELD:
        return f"refused: the action is {action.state}, not held"
    approve = command.command == "approve"
    policy = state.policy(found.model)
    if approve:
        objection = planner.approved(found, policy, context_of(found, policy), action)
        if objection:
            return f"refused: {objection}"
    at = command.time.timestamp()
    decided = planner.decided(
        found, action, approve=approve, actor=command.actor, at=at, why=command.reason
    )
    step.note(found.model, [decided], before, found.incident)
    return f"done: {decided.kind} {decided.state}"


def _incident(state: State, planner: Planner, command: Command, step: Step) -> str:
    found = next((m for m in state.models.values() if _concerns(m, command.target)), None)
    if found is None or found.incident is None:
        return f"refused: no open incident {command.target}"
    before = found.incident
    at, by = command.time.timestamp(), command.actor or "a person"
    why = f": {command.reason}" if command.reason else ""
    changed: list[Action] = []
    anew = ""
    if command.command == "resolve" and command.args.get("new_normal") is True:
        if not renewing.accepted(found, before):
            return "refused: its harm is of versions that were left, which cannot be accepted"
        changed = planner.close(found, at, f"accepted as the new normal by {by}{why}")
        anew = f"; {'; '.join(renewing.accept(state, found, before, by, at))}"
        found.incident = incidents.revised(_of(found), at, f"new normal{anew}"[:NOTE_LIMIT])
    elif command.command == "resolve":
        changed = planner.close(found, at, f"resolved by {by}{why}")
    elif before.state in (IncidentState.OPEN, IncidentState.REGRESSED):
        found.incident = incidents.revised(
            before,
            at,
            f"acknowledged by {by}{why}",
            state=IncidentState.ACKNOWLEDGED,
            owner=command.actor,
        )
    else:
        return f"refused: the incident is {before.state}"
    step.note(found.model, changed, before, found.incident)
    return f"done: {command.command} {before.id}{anew}"


def _of(model: ModelState) -> Incident:
    assert model.incident is not None
    return model.incident


def _rebaseline(state: State, command: Command, step: Step) -> str:
    """Learns a version's reference anew without an incident; the live one if none is named."""
    found = state.models.get(command.target)
    if found is None:
        return f"refused: no model {command.target}"
    if found.incident is not None and found.incident.open:
        return f"refused: resolve {found.incident.id} first, with --new-normal if this is normal"
    version = str(command.args.get("version") or found.live_version)
    record = found.versions.get(version)
    if record is None or record.faulty:
        return f"refused: version {version} {'was left as faulty' if record else 'is not known'}"
    by = command.actor or "a person"
    said = renewing.begin(state, found, Renewal(version, "", by, command.time.timestamp()))
    step.dirty.add(found.model)
    return f"{'done' if version in found.renewals else 'refused'}: {said}"


def _concerns(state: ModelState, incident: str) -> bool:
    return state.incident is not None and state.incident.open and state.incident.id == incident


def _pause(state: State, planner: Planner, command: Command, step: Step) -> str:
    found = state.models.get(command.target)
    if found is None:
        return f"refused: no model {command.target}"
    found.paused = command.command == "pause"
    before = found.incident
    changed = planner.withdraw(found, command.time.timestamp()) if found.paused else []
    step.note(found.model, changed, before, found.incident)
    return f"done: {command.target} {command.command}d"


def _reference(state: State, model: str) -> str:
    """Says what an imported reference, which came with the command, is used for."""
    found = state.models.get(model)
    if found is None:
        return f"done: kept for the first event of {model}"
    imported = sorted(v for v, p in found.profiles.items() if p.source == "imported")
    if not imported:
        return f"refused: no reference of {model} was imported"
    return f"done: {model} is compared with the imported reference of {', '.join(imported)}"
