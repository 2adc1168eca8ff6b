"""What every handler's `plan` needs: whether it has planned already, and a new action."""

from __future__ import annotations

from watchkeeper.detectors.types import Scalar
from watchkeeper.handlers.types import Action, ActionState, Context, Incident, action_id


def planned(incident: Incident, context: Context, kind: str) -> bool:
    """Whether the incident already has an action of this kind, in whatever state."""
    return any(a.incident_id == incident.id and a.kind == kind for a in context.actions)


def new_action(
    incident: Incident,
    context: Context,
    kind: str,
    summary: str,
    args: dict[str, Scalar],
    *,
    target: str = "",
    attempt: int = 1,
) -> Action:
    """A planned action; the same incident, kind, attempt and target always give the same id."""
    return Action(
        id=action_id(incident.id, kind, attempt, target),
        incident_id=incident.id,
        model=incident.model,
        kind=kind,
        state=ActionState.PLANNED,
        planned_at=context.now,
        updated_at=context.now,
        summary=summary,
        args=args,
        attempt=attempt,
    )
