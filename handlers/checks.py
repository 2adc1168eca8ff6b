"""What every Deployer and every Handler must pass; plugin authors run these on their own.

Each check raises AssertionError with the promise that was broken. None of them needs pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from watchkeeper.handlers.errors import Refused
from watchkeeper.handlers.switching import Deployer, move
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Handler,
    Incident,
    Phase,
    action_id,
)


@dataclass(frozen=True)
class DeployerTrial:
    """A target made for one check: `live` is live, `other` and `third` could be made so.

    `deployer` makes a Deployer on this same target, as a restarted daemon would. `switches` counts
    how often the target really changed the live version; `meddle` changes it behind our back.
    """

    deployer: Callable[[], Deployer]
    switches: Callable[[], int]
    meddle: Callable[[str], None]
    model: str
    live: str
    other: str
    third: str


@dataclass(frozen=True)
class HandlerTrial:
    """A handler made for one check, with an incident and a context for which it plans.

    `handler` makes one on the same world, as a restarted daemon would; `effects` counts what was
    really done to the world.
    """

    handler: Callable[[], Handler]
    effects: Callable[[], int]
    incident: Incident
    context: Context


def check_deployer(make: Callable[[], DeployerTrial]) -> None:
    """Runs every check of a Deployer, each on a target of its own."""
    for check in (
        looks_without_touching,
        switches_once_for_a_key,
        refuses_an_unknown_version,
        runs_twice_and_deploys_once,
        survives_a_crash_after_the_switch,
        leaves_alone_what_somebody_else_changed,
        undoes_once,
    ):
        check(make())


def check_handler(make: Callable[[], HandlerTrial]) -> None:
    """Runs every check of a Handler, each in a world of its own."""
    for check in (
        plans_purely,
        plans_once_for_an_incident,
        checks_without_touching,
        runs_twice_and_acts_once,
        takes_back_at_most_once,
    ):
        check(make())


def looks_without_touching(trial: DeployerTrial) -> None:
    deployer = trial.deployer()
    _same(deployer.current(trial.model), trial.live, "current names the live version")
    _same(deployer.verify(trial.model), trial.live, "verify names the live version")
    versions = deployer.available(trial.model)
    missing = {trial.live, trial.other, trial.third} - set(versions)
    _same(missing, set(), "available names every version that could be made live")
    _same(trial.switches(), 0, "looking changes nothing")


def switches_once_for_a_key(trial: DeployerTrial) -> None:
    deployer = trial.deployer()
    deployer.switch(trial.model, trial.other, "key-1")
    deployer.switch(trial.model, trial.other, "key-1")
    _same(deployer.verify(trial.model), trial.other, "verify names the version switched to")
    _same(deployer.current(trial.model), trial.other, "current is read fresh after a switch")
    _same(trial.switches(), 1, "one key switches once")


def refuses_an_unknown_version(trial: DeployerTrial) -> None:
    deployer = trial.deployer()
    refused = False
    try:
        deployer.switch(trial.model, "no-such-version", "key-1")
    except Refused:
        refused = True
    _same(refused, True, "switching to an unknown version raises Refused")
    _same(deployer.current(trial.model), trial.live, "a refused switch leaves the version live")


def runs_twice_and_deploys_once(trial: DeployerTrial) -> None:
    deployer = trial.deployer()
    for _ in range(2):
        _same(_run(deployer, trial), Phase.SUCCESSFUL, "a switch succeeds, also when run again")
    _same(trial.switches(), 1, "running twice deploys once")


def survives_a_crash_after_the_switch(trial: DeployerTrial) -> None:
    trial.deployer().switch(trial.model, trial.other, _action(trial).id)
    _same(_run(trial.deployer(), trial), Phase.SUCCESSFUL, "after a crash the run finds it done")
    _same(trial.switches(), 1, "a crash after the switch does not switch again")


def leaves_alone_what_somebody_else_changed(trial: DeployerTrial) -> None:
    deployer = trial.deployer()
    deployer.current(trial.model)
    trial.meddle(trial.third)
    before = trial.switches()
    _same(_run(deployer, trial), Phase.INCONCLUSIVE, "a version changed by somebody else stays")
    _same(trial.switches(), before, "nothing is switched on an outdated reading")


def undoes_once(trial: DeployerTrial) -> None:
    _run(trial.deployer(), trial)
    action = _action(trial)
    for _ in range(2):
        outcome = move(trial.deployer(), action, trial.other, trial.live, step="undo", at=0.0)
        _same(outcome.phase, Phase.SUCCESSFUL, "undoing succeeds, also when run again")
    _same(trial.deployer().current(trial.model), trial.live, "undoing brings the version back")
    _same(trial.switches(), 2, "undoing twice switches back once")


def plans_purely(trial: HandlerTrial) -> None:
    action = _planned(trial)
    _same(trial.handler().plan(trial.incident, trial.context), action, "planning is repeatable")
    _same(action.state, ActionState.PLANNED, "a plan is PLANNED")
    _same(action.kind, trial.handler().name, "an action's kind is its handler's name")
    named = (action.incident_id, action.model, action.planned_at)
    expected = (trial.incident.id, trial.incident.model, trial.context.now)
    _same(named, expected, "an action names its incident, its model and the event time")
    decoded = msgspec.json.decode(msgspec.json.encode(action), type=Action)
    _same(decoded, action, "an action survives being stored")
    _same(trial.effects(), 0, "planning changes nothing")


def plans_once_for_an_incident(trial: HandlerTrial) -> None:
    action = _planned(trial)
    for state in ActionState:
        past = msgspec.structs.replace(action, state=state)
        context = msgspec.structs.replace(trial.context, actions=(past,))
        again = trial.handler().plan(trial.incident, context)
        same = again is None or again.id == action.id
        _same(same, True, f"an incident with a {state} action gets no second one")


def checks_without_touching(trial: HandlerTrial) -> None:
    action = _planned(trial)
    outcome = trial.handler().preflight(action)
    named = (outcome.action_id, outcome.model, outcome.step)
    _same(named, (action.id, action.model, "preflight"), "a preflight's outcome names its action")
    _same(outcome.reason != "", True, "an outcome has a reason")
    _same(trial.effects(), 0, "a preflight check changes nothing")


def runs_twice_and_acts_once(trial: HandlerTrial) -> None:
    action = _planned(trial)
    first = trial.handler().run(action)
    again = trial.handler().run(action)
    _same((first.action_id, first.step), (action.id, "run"), "a run's outcome names its action")
    _same(again.phase, first.phase, "running again ends the same")
    _same(trial.effects(), 1, "running twice acts once")


def takes_back_at_most_once(trial: HandlerTrial) -> None:
    action = _planned(trial)
    handler = trial.handler()
    handler.run(action)
    outcomes = [trial.handler().undo(action) for _ in range(2)]
    _same({o.step for o in outcomes}, {"undo"}, "an undo's outcome says so")
    if not handler.undoable:
        _same({o.phase for o in outcomes}, {Phase.INCONCLUSIVE}, "what has no undo says so")
    _same(trial.effects(), 2 if handler.undoable else 1, "undoing twice takes back once")


def _planned(trial: HandlerTrial) -> Action:
    action = trial.handler().plan(trial.incident, trial.context)
    if action is None:
        raise AssertionError("the trial's incident and context must make the handler plan")
    return action


def _action(trial: DeployerTrial) -> Action:
    return Action(
        id=action_id("inc-check", "rollback", 1, trial.other),
        incident_id="inc-check",
        model=trial.model,
        kind="rollback",
        state=ActionState.STARTED,
        planned_at=0.0,
        updated_at=0.0,
        summary="check",
    )


def _run(deployer: Deployer, trial: DeployerTrial) -> Phase:
    return move(deployer, _action(trial), trial.live, trial.other, step="run", at=0.0).phase


def _same(got: object, wanted: object, promise: str) -> None:
    if got != wanted:
        raise AssertionError(f"{promise}: expected {wanted!r}, got {got!r}")
