"""Incidents and contexts that the handlers' tests start from."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from watchkeeper.detectors.types import Change, Scalar, Severity, moment
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Fault,
    Incident,
    IncidentState,
    Kind,
    VersionRecord,
)

NOW = 1_800_000_000.0
HOUR = 3600.0


def incident(kind: Kind = Kind.MODEL, version: str = "v2") -> Incident:
    """An open incident of the model `churn`, an hour old."""
    return Incident(
        id="inc-1",
        model="churn",
        version=version,
        state=IncidentState.OPEN,
        severity=Severity.CRITICAL,
        title="accuracy has fallen",
        opened_at=NOW - HOUR,
        updated_at=NOW,
        since=NOW - 1.1 * HOUR,
        fault=Fault(kind, version, 0.9, {kind: 0.9}),
        findings=(),
    )


def deployment(
    version: str = "v2", *, hours_ago: float = 5.0, previous: str | None = "v1"
) -> Change:
    return Change(
        id=f"chg-{version}",
        time=moment(NOW - hours_ago * HOUR),
        model_name="churn",
        kind="deployment",
        model_version=version,
        previous_version=previous,
    )


def record(
    version: str, *, hours_ago: float, healthy: int = 100, faulty: bool = False
) -> VersionRecord:
    """A version first seen `hours_ago`, and last seen five hours ago."""
    first = NOW - hours_ago * HOUR
    return VersionRecord(version, first, NOW - 5 * HOUR, 10_000, healthy, faulty)


def context(**changed: object) -> Context:
    """v2 was deployed five hours ago in place of the healthy v1."""
    usual = Context(
        model="churn",
        now=NOW,
        live_version="v2",
        versions=(record("v1", hours_ago=900), record("v2", hours_ago=5, healthy=2)),
        changes=(deployment(),),
        examples=5_000,
    )
    return msgspec.structs.replace(usual, **changed)


def action(
    kind: str = "rollback",
    state: ActionState = ActionState.PERMITTED,
    args: Mapping[str, Scalar] | None = None,
) -> Action:
    return Action(
        id=f"act-{kind}",
        incident_id="inc-1",
        model="churn",
        kind=kind,
        state=state,
        planned_at=NOW,
        updated_at=NOW,
        summary=kind,
        args={"from_version": "v2", "to_version": "v1"} if args is None else dict(args),
    )
