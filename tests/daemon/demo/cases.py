"""Incidents and actions for the tests of the demo, made of what matters in a test."""

from __future__ import annotations

from watchkeeper.detectors.types import Severity
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Fault,
    Incident,
    IncidentState,
    Kind,
    Note,
)

START = 1_772_463_600.0


def incident(
    model: str,
    opened_at: float,
    *,
    kind: Kind = Kind.UNKNOWN,
    place: str = "",
    severity: Severity = Severity.CRITICAL,
    state: IncidentState = IncidentState.OPEN,
    resolved_at: float | None = None,
) -> Incident:
    """An incident of a model."""
    return Incident(
        id=f"inc-{model}-{opened_at:.0f}",
        model=model,
        version="v1",
        state=IncidentState.RESOLVED if resolved_at is not None else state,
        severity=severity,
        title=f"{model} v1: something is off",
        opened_at=opened_at,
        updated_at=opened_at,
        since=opened_at,
        fault=Fault(kind, place, 0.9, {kind: 0.9}),
        findings=(),
        timeline=(Note(opened_at, "something happened"),),
        resolved_at=resolved_at,
    )


def action(
    about: Incident, state: ActionState, *, kind: str = "rollback", reason: str = ""
) -> Action:
    """An action about an incident."""
    return Action(
        id=f"act-{about.id}-{kind}",
        incident_id=about.id,
        model=about.model,
        kind=kind,
        state=state,
        planned_at=about.opened_at,
        updated_at=about.opened_at,
        summary="go back from v2 to v1",
        reason=reason,
    )
