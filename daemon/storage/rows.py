"""Values as rows and rows as values."""

from __future__ import annotations

import math
from typing import Any, get_args

import msgspec
from sqlalchemy import RowMapping

from watchkeeper.daemon.storage import snapshots
from watchkeeper.daemon.storage.database import Row
from watchkeeper.daemon.storage.values import AuditEntry, DeadLetter, OutboxRow, VersionStatus
from watchkeeper.daemon.transport.ports import Headers
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import Direction, Finding, Series, Severity
from watchkeeper.handlers.types import Action, ActionState, Incident

_DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
STATUSES: tuple[VersionStatus, ...] = get_args(VersionStatus)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def finding(each: Finding) -> Row:
    """The row of a finding; NaN becomes null."""
    return {
        "id": each.id,
        **msgspec.structs.asdict(each.series),
        "detector": each.detector,
        "severity": each.severity.value,
        "direction": each.direction,
        "since": float(each.since),
        "at": float(each.at),
        "value": _number(each.value),
        "expected": _number(each.expected),
        "statistic": _number(each.statistic),
        "threshold": _number(each.threshold),
        "n": int(each.n),
        "statement": each.statement or None,
    }


def as_finding(row: RowMapping) -> Finding:
    """The finding of a row."""
    return Finding(
        series=Series(row["model"], row["version"], row["signal"], row["target"]),
        detector=row["detector"],
        severity=Severity(row["severity"]),
        since=row["since"],
        at=row["at"],
        value=_float(row["value"]),
        expected=_float(row["expected"]),
        statistic=_float(row["statistic"]),
        threshold=_float(row["threshold"]),
        n=row["n"],
        direction=next(each for each in _DIRECTIONS if each == row["direction"]),
        statement=row["statement"] or "",
    )


def incident(each: Incident) -> Row:
    """The row of an incident: what is searched in columns, all of it in `body`."""
    return {
        "id": each.id,
        "model": each.model,
        "state": each.state.value,
        "severity": each.severity.value,
        "kind": each.fault.kind.value,
        "title": each.title,
        "opened_at": each.opened_at,
        "updated_at": each.updated_at,
        "resolved_at": each.resolved_at,
        "revision": each.revision,
        "body": snapshots.encode(each),
        "open_key": each.model if each.open else None,
    }


def as_incident(row: RowMapping) -> Incident:
    """The incident of a row."""
    return snapshots.decode_as(row["body"], Incident)


def action(each: Action) -> Row:
    """The row of an action."""
    return {
        "id": each.id,
        "incident_id": each.incident_id,
        "model": each.model,
        "kind": each.kind,
        "state": each.state.value,
        "reason": each.reason,
        "body": snapshots.encode(each),
        "planned_at": each.planned_at,
        "updated_at": each.updated_at,
    }


def as_action(row: RowMapping) -> Action:
    """The action of a row; the column tells its state, for a start is written there alone."""
    stored = snapshots.decode_as(row["body"], Action)
    try:
        state = ActionState(row["state"])
    except ValueError as error:
        raise snapshots.SnapshotError(str(error)) from error
    return msgspec.structs.replace(stored, state=state)


def profile(each: Profile, at: float) -> Row:
    """The row of a reference."""
    return {
        "model": each.model,
        "version": each.version,
        "source": each.source,
        "blob": snapshots.encode(each),
        "at": at,
    }


def as_profile(row: RowMapping) -> Profile:
    """The reference of a row."""
    return snapshots.decode_as(row["blob"], Profile)


def dead_letter(each: DeadLetter) -> Row:
    """The row of a refused record."""
    row: dict[str, Any] = dict(plain(each))
    del row["id"], row["replayed_at"]
    return {**row, "headers": snapshots.encode(each.headers)}


def as_dead_letter(row: RowMapping) -> DeadLetter:
    """The refused record of a row."""
    return DeadLetter(**{**row, "headers": headers(row["headers"])})


def outbox(each: OutboxRow) -> Row:
    """The row of a message to be told, due at once."""
    return {
        "id": each.id,
        "channel": each.channel,
        "topic": each.topic,
        "key": each.key,
        "payload": each.payload,
        "headers": snapshots.encode(each.headers),
        "incident_id": each.incident_id,
        "created_at": each.created_at,
        "state": "pending",
        "attempts": 0,
        "next_try": each.created_at,
        "last_reason": "",
        "expires_at": each.expires_at,
    }


def headers(blob: bytes) -> Headers:
    """Stored headers."""
    return snapshots.decode_as(blob, Headers)


def plain(each: DeadLetter | AuditEntry) -> Row:
    """The fields of a Struct whose names are those of the columns."""
    return msgspec.structs.asdict(each)
