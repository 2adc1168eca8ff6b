"""Tells a web service of an incident that nothing else here can handle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from watchkeeper.handlers.egress import Egress
from watchkeeper.handlers.errors import Refused, Unreachable
from watchkeeper.handlers.rollback import planned
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Handler,
    Incident,
    Outcome,
    Phase,
    action_id,
)


@dataclass
class Notify:
    """Plans a POST to a webhook, once for an incident for which no handler of `remedies` plans.

    The header `Idempotency-Key` is the action's id: after a crash the message is sent again under
    the same key, since nobody can look whether it had arrived.
    """

    name: ClassVar[str] = "notify"
    undoable: ClassVar[bool] = False

    webhook: Egress
    remedies: tuple[Handler, ...] = ()
    clock: Callable[[], float] = time.time

    def plan(self, incident: Incident, context: Context) -> Action | None:
        if planned(incident, context, self.name) or _under_way(incident, context):
            return None
        if any(handler.plan(incident, context) is not None for handler in self.remedies):
            return None
        return Action(
            id=action_id(incident.id, self.name, 1),
            incident_id=incident.id,
            model=incident.model,
            kind=self.name,
            state=ActionState.PLANNED,
            planned_at=context.now,
            updated_at=context.now,
            summary="tell the webhook, since no remedy is at hand",
            args={
                "version": incident.version,
                "title": incident.title,
                "severity": incident.severity.value,
                "state": incident.state.value,
                "opened_at": incident.opened_at,
                "fault": incident.fault.kind.value,
                "place": incident.fault.place,
                "confidence": incident.fault.confidence,
            },
        )

    def preflight(self, action: Action) -> Outcome:
        return self._outcome(action, Phase.SUCCESSFUL, "a message changes nothing", "preflight")

    def run(self, action: Action) -> Outcome:
        body = {"incident": action.incident_id, "model": action.model, **action.args}
        try:
            self.webhook.call("POST", "", object, body=body, headers={"Idempotency-Key": action.id})
        except Refused as error:
            return self._outcome(action, Phase.FAILED, str(error))
        except Unreachable as error:
            return self._outcome(action, Phase.ERROR, str(error))
        return self._outcome(action, Phase.SUCCESSFUL, "the webhook has taken the message")

    def undo(self, action: Action) -> Outcome:
        reason = "a message cannot be taken back"
        return self._outcome(action, Phase.INCONCLUSIVE, reason, "undo")

    def _outcome(
        self,
        action: Action,
        phase: Phase,
        reason: str,
        step: Literal["preflight", "run", "undo"] = "run",
    ) -> Outcome:
        return Outcome(action.id, action.model, phase, reason, self.clock(), step)


def _under_way(incident: Incident, context: Context) -> bool:
    """True while another action of the incident may still help."""
    ended = (ActionState.REFUSED, ActionState.FAILED, ActionState.ERROR, ActionState.UNDONE)
    return any(a.incident_id == incident.id and a.state not in ended for a in context.actions)
