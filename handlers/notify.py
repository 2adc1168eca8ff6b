"""Tells a web service of an incident that nothing else here can handle."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import ClassVar, Literal

from watchkeeper.handlers.egress import Egress
from watchkeeper.handlers.errors import Refused, Unreachable
from watchkeeper.handlers.planning import new_action
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Handler,
    Incident,
    IncidentState,
    Outcome,
    Phase,
)

_MESSAGES = 2  # about one incident at the most
# After a remedy: it did not help, or not for long.
_LEFT = (IncidentState.OPEN, IncidentState.REGRESSED)
_ACTIVE = (
    ActionState.PLANNED,
    ActionState.HELD,
    ActionState.PERMITTED,
    ActionState.STARTED,
    ActionState.UNDOING,
)


@dataclass
class Notify:
    """Plans a POST to a webhook when an incident is left to people.

    That is once for an incident for which no handler of `remedies` plans, and once more when a
    remedy that came later has ended without help and the incident is open again. The header
    `Idempotency-Key` is the action's id: after a crash the message is sent again under the same
    key, since nobody can look whether it had arrived.
    """

    name: ClassVar[str] = "notify"
    undoable: ClassVar[bool] = False

    webhook: Egress
    remedies: tuple[Handler, ...] = ()
    clock: Callable[[], float] = time.time

    def plan(self, incident: Incident, context: Context) -> Action | None:
        ours = [a for a in context.actions if a.incident_id == incident.id]
        if incident.state is IncidentState.VERIFYING or any(a.state in _ACTIVE for a in ours):
            return None
        attempt = 1 + sum(a.kind == self.name for a in ours)
        if incident.state in _LEFT and self._tried_in_vain(ours):
            why = "the remedy did not help"
        elif attempt == 1 and not any(h.plan(incident, context) for h in self.remedies):
            why = "no remedy is at hand"
        else:
            return None
        if attempt > _MESSAGES:
            return None
        return new_action(
            incident,
            context,
            self.name,
            f"tell the webhook, since {why}",
            {
                "version": incident.version,
                "title": incident.title,
                "severity": incident.severity.value,
                "state": incident.state.value,
                "opened_at": incident.opened_at,
                "fault": incident.fault.kind.value,
                "place": incident.fault.place,
                "confidence": incident.fault.confidence,
            },
            attempt=attempt,
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

    def _tried_in_vain(self, ours: Sequence[Action]) -> bool:
        """Whether a remedy was tried since the last message; none is under way any more."""
        later = takewhile(lambda a: a.kind != self.name, reversed(ours))
        return any(a.state is not ActionState.REFUSED for a in later)

    def _outcome(
        self,
        action: Action,
        phase: Phase,
        reason: str,
        step: Literal["preflight", "run", "undo"] = "run",
    ) -> Outcome:
        return Outcome(action.id, action.model, phase, reason, self.clock(), step)
