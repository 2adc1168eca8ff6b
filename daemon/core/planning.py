"""From a verdict to actions, through the guards, and from their outcomes back to the incident."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from watchkeeper.daemon.core import guards, incidents
from watchkeeper.daemon.core.guards import Answer, Case
from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.types import Severity
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Handler,
    IncidentState,
    Kind,
    Outcome,
    Phase,
)

SETTLE_WINDOWS = 2  # evidence may still come in: nothing is planned before
ACTIONS_LIMIT = 100
TELLS = "notify"
NOT_VERIFIED = ("retrain", TELLS)  # they change nothing that the stream could show
ACTIVE = (
    ActionState.PLANNED,
    ActionState.HELD,
    ActionState.PERMITTED,
    ActionState.STARTED,
    ActionState.UNDOING,
)
HANDED_OVER = "person"
END_OF: dict[Phase, ActionState] = {
    Phase.SUCCESSFUL: ActionState.SUCCESSFUL,
    Phase.FAILED: ActionState.FAILED,
    Phase.ERROR: ActionState.ERROR,
    Phase.INCONCLUSIVE: ActionState.INCONCLUSIVE,
}


class Planner:
    """Plans, judges and follows up the actions of one step."""

    def __init__(self, handlers: Sequence[Handler], blind_since: float | None) -> None:
        self.handlers = handlers
        self.blind_since = blind_since

    def plan(self, state: ModelState, policy: ModelPolicy, context: Context) -> list[Action]:
        """New actions about the open incident, and waiting ones that may go now."""
        incident = state.incident
        if incident is None or not incident.open:
            return []
        if context.now < incident.opened_at + SETTLE_WINDOWS * policy.window_s:
            return []
        changed = self._waiting(state, context)
        if any(a.state in ACTIVE for a in of_incident(state)):
            return changed
        if incident.state is IncidentState.VERIFYING:
            return changed
        # Where nothing can or may be done by machine, people can still be told.
        only_tell = incident.fault.kind is Kind.UNKNOWN or bool(state.planned_for)
        for handler in self.handlers:
            if only_tell and handler.name != TELLS:
                continue
            planned = handler.plan(incident, context)
            if planned is not None and planned.id not in state.actions:
                return [*changed, self._planned(state, policy, context, planned)]
        return changed

    def outcome(
        self, state: ModelState, policy: ModelPolicy, context: Context, outcome: Outcome
    ) -> list[Action]:
        """Takes an action's outcome into its incident; gives the changed actions."""
        action = state.actions.get(outcome.action_id)
        if action is None:
            return []
        if outcome.step == "preflight":
            return [self._judge(state, policy, context, action, outcome)]
        if outcome.step == "undo":
            return [self._undone(state, context, action, outcome)]
        return [self._ended(state, context, action, outcome)]

    def approved(
        self, state: ModelState, policy: ModelPolicy, context: Context, action: Action
    ) -> str:
        """Why a held action must not go on although a person approves; "" when it may."""
        if state.incident is None or not state.incident.open:
            return "its incident is resolved"
        case = Case(action, state.incident, context, policy, state.paused, self.blind_since)
        verdict = guards.objection(case)
        return "" if verdict is None else verdict.reason

    def decided(
        self, state: ModelState, action: Action, *, approve: bool, actor: str, at: float, why: str
    ) -> Action:
        """A person's word on a held action."""
        verb = "approved" if approve else "rejected"
        reason = f"{verb} by {actor or 'a person'}" + (f": {why}" if why else "")
        to = ActionState.PERMITTED if approve else ActionState.REFUSED
        return self._move(state, action, to, at, reason, approved_by=actor if approve else "")

    def verify(self, state: ModelState, policy: ModelPolicy, now: float) -> list[Action]:
        """Closes a recovered incident; undoes, once, an action that did not help."""
        incident = state.incident
        if incident is None or not incident.open:
            return []
        if incidents.recovered(state, policy):
            windows = policy.recover_windows
            return self.close(
                state, now, f"resolved: every harm was judged and gone for {windows} windows"
            )
        if incident.state is not IncidentState.VERIFYING:
            return []
        state.verified_windows += 1
        if incidents.still_bad(state, policy):
            return self._not_helped(state, now)
        if incidents.unreached(state, policy, now):
            hand_over(state, now, "nothing could be judged since the action: look yourself")
        return []

    def _planned(
        self, state: ModelState, policy: ModelPolicy, context: Context, action: Action
    ) -> Action:
        state.actions[action.id] = action
        for old in list(state.actions)[:-ACTIONS_LIMIT]:
            del state.actions[old]
        incident = state.incident
        assert incident is not None
        ids = (*incident.actions, action.id)
        state.incident = incidents.revised(
            incident, context.now, f"planned: {action.summary}", actions=ids
        )
        return self._judge(state, policy, context, action, None)

    def _judge(
        self,
        state: ModelState,
        policy: ModelPolicy,
        context: Context,
        action: Action,
        checked: Outcome | None,
    ) -> Action:
        incident = state.incident
        if incident is None or action.state is not ActionState.PLANNED:
            return action
        case = Case(action, incident, context, policy, state.paused, self.blind_since, checked)
        verdict = guards.decide(case)
        to = {
            Answer.PERMIT: ActionState.PERMITTED,
            Answer.HOLD: ActionState.HELD,
            Answer.REFUSE: ActionState.REFUSED,
            Answer.WAIT: ActionState.PLANNED,
        }[verdict.answer]
        return self._move(state, action, to, context.now, verdict.reason)

    def _waiting(self, state: ModelState, context: Context) -> list[Action]:
        """Planned actions that waited for a guard are judged again, after a new preflight."""
        if self.blind_since is not None or state.paused:
            return []
        return [
            self._move(state, action, ActionState.PLANNED, context.now, guards.PENDING)
            for action in of_incident(state)
            if action.state is ActionState.PLANNED and action.reason != guards.PENDING
        ]

    def _ended(
        self, state: ModelState, context: Context, action: Action, outcome: Outcome
    ) -> Action:
        if action.state in guards.DONE:
            return action
        ended = replace(action, args={**action.args, **outcome.result})
        ended = self._move(state, ended, END_OF[outcome.phase], context.now, outcome.reason)
        if outcome.phase is not Phase.SUCCESSFUL:
            if action.kind != TELLS:
                hand_over(state, context.now, f"{action.kind} {outcome.phase}: {outcome.reason}")
        elif action.kind not in NOT_VERIFIED:
            self._verifying(state, context, ended, outcome.at)
        return ended

    def _verifying(
        self, state: ModelState, context: Context, action: Action, done_at: float
    ) -> None:
        if state.incident is None or not state.incident.open:
            return
        version = action.args.get("from_version")
        if isinstance(version, str):
            _blame(state, version, faulty=True)
        # What a live stream still brings from before the action says nothing of it.
        state.verify_since = max(context.now, done_at) if state.live_stream else context.now
        state.verified_windows = 0
        incidents.start_over(state)
        state.incident = incidents.revised(
            state.incident,
            context.now,
            f"{action.kind} done: watching for recovery",
            state=IncidentState.VERIFYING,
        )

    def _not_helped(self, state: ModelState, now: float) -> list[Action]:
        ours = [a for a in of_incident(state) if a.state is ActionState.SUCCESSFUL]
        undoable = {h.name for h in self.handlers if h.undoable}
        if incidents.helped(state):
            hand_over(
                state, now, "the action helped, but not to the old level: what is normal now?"
            )
            return []
        for action in reversed(ours):
            if action.kind in undoable:
                return [self._move(state, action, ActionState.UNDOING, now, "it did not help")]
        hand_over(state, now, "the action did not help and cannot be undone")
        return []

    def _undone(
        self, state: ModelState, context: Context, action: Action, outcome: Outcome
    ) -> Action:
        ok = outcome.phase is Phase.SUCCESSFUL
        to = ActionState.UNDONE if ok else ActionState.ERROR
        moved = self._move(state, action, to, context.now, outcome.reason)
        version = action.args.get("from_version")
        if ok and isinstance(version, str):
            _blame(state, version, faulty=False)  # leaving it did not help: it was not to blame
        word = "undone" if ok else "could not be undone"
        hand_over(state, context.now, f"{action.kind} did not help and was {word}")
        return moved

    def withdraw(self, state: ModelState, at: float) -> list[Action]:
        """Takes back what may not begin any more while the model is paused; it may be permitted
        again afterwards. What has begun already ends, and its outcome counts."""
        return [
            self._move(state, a, ActionState.PLANNED, at, "the model is paused")
            for a in of_incident(state)
            if a.state is ActionState.PERMITTED
        ]

    def close(self, state: ModelState, at: float, text: str) -> list[Action]:
        """Resolves the incident and drops what it still had planned."""
        dropped = [
            self._move(state, a, ActionState.REFUSED, at, "the incident is resolved")
            for a in of_incident(state)
            if a.state in (ActionState.PLANNED, ActionState.HELD, ActionState.PERMITTED)
        ]
        incidents.resolve(state, at, text)
        return dropped

    def _move(
        self,
        state: ModelState,
        action: Action,
        to: ActionState,
        at: float,
        reason: str,
        *,
        approved_by: str | None = None,
    ) -> Action:
        by = action.approved_by if approved_by is None else approved_by
        moved = replace(action, state=to, updated_at=at, reason=reason, approved_by=by)
        state.actions[action.id] = moved
        if to is action.state or state.incident is None:
            return moved
        if action.id not in state.incident.actions:
            return moved
        changes = {}
        if (
            action.kind != TELLS
            and to in (ActionState.PERMITTED, ActionState.UNDOING)
            and state.incident.open
        ):
            changes = {"state": IncidentState.MITIGATING}
        text = f"{action.kind} {to}: {reason}"
        state.incident = incidents.revised(state.incident, at, text, **changes)
        return moved


def of_incident(state: ModelState) -> list[Action]:
    """The actions of the current incident, oldest first."""
    if state.incident is None:
        return []
    return [state.actions[i] for i in state.incident.actions if i in state.actions]


def hand_over(state: ModelState, at: float, why: str) -> None:
    """No more machine: the incident is open again, pages, and waits for a person."""
    state.planned_for = HANDED_OVER
    if state.incident is None or not state.incident.open:
        return
    incidents.start_over(state)
    state.verify_since = None
    state.incident = incidents.revised(
        state.incident,
        at,
        f"a person is needed: {why}",
        state=IncidentState.OPEN,
        severity=Severity.CRITICAL,
    )


def _blame(state: ModelState, version: str, *, faulty: bool) -> None:
    record = state.versions.get(version)
    if record is not None:
        state.versions[version] = replace(record, faulty=faulty)
