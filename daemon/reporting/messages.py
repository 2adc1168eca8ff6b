"""What others read on Kafka and by HTTP: `incident.v1`, `action.v1`, `model.v1`.

Additive changes only within a version; times are RFC 3339; a number that is not finite is null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from watchkeeper.daemon.reporting.links import Links
from watchkeeper.detectors.types import Finding, Scalar, Severity, moment
from watchkeeper.handlers.types import Action, Fault, Incident, IncidentState, Kind

RULED_OUT = 0.05  # a kind less probable than this is ruled out
EVIDENCE_LIMIT = 10

IncidentChange = Literal["opened", "updated", "acknowledged", "resolved", "regressed"]
Health = Literal["healthy", "degraded", "faulty", "unknown"]


class FaultMessage(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """What is at fault (`class`), in one sentence (`verdict`), and what else it could be."""

    class_: str
    place: str
    verdict: str
    confidence: float
    alternatives: dict[str, float]
    ruled_out: list[str]
    reasons: list[str]


class ScopeMessage(msgspec.Struct, frozen=True):
    """Where the incident is seen."""

    model_name: str
    model_version: str
    features: list[str]
    host: str | None = None


class EvidenceMessage(msgspec.Struct, frozen=True):
    """One finding; a number that is not finite is null. One about log lines says what they have in
    common, and shows some with secrets hidden; one about columns says what was done to them."""

    detector: str
    signal: str
    target: str
    value: float | None
    expected: float | None
    statistic: float | None
    threshold: float | None
    n: int
    since: datetime
    at: datetime
    statement: str = ""
    examples: list[str] = []


class ImpactMessage(msgspec.Struct, frozen=True):
    """How many are affected: a share of the model's traffic, and the events looked at."""

    share: float
    requests: int


class IncidentMessage(msgspec.Struct, frozen=True):
    """`incident.v1`: one state of one incident; (`incident_id`, `revision`) names it for ever.

    `key` is the same for all incidents of the same class: model, kind of fault and place.
    """

    change: IncidentChange
    incident_id: str
    revision: int
    key: str
    state: str
    severity: str
    title: str
    opened_at: datetime
    detected_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    fault: FaultMessage
    scope: ScopeMessage
    evidence: list[EvidenceMessage]
    impact: ImpactMessage
    actions: list[str]
    links: dict[str, str]
    owner: str = ""


class ActionMessage(msgspec.Struct, frozen=True):
    """`action.v1`: a transition of an action, or an order to the application that hosts a model.

    An application obeys messages whose `change` is "requested", once for an `action_id`: it does
    what `verb` and `args` say and answers with a `command.v1` "outcome" whose target is that id.
    It refuses a message that it reads at `expires_at` or later: nobody waits for it any more.
    """

    change: str
    action_id: str
    model_name: str
    time: datetime
    verb: str = ""
    args: dict[str, Scalar] = {}
    incident_id: str = ""
    kind: str = ""
    summary: str = ""
    reason: str = ""
    attempt: int = 1
    approved_by: str = ""
    expires_at: datetime | None = None


class ModelMessage(msgspec.Struct, frozen=True):
    """`model.v1`: what a router wants to know of a model."""

    model_name: str
    model_version: str
    health: Health
    time: datetime
    incident_id: str | None = None


def change_of(previous: Incident | None, incident: Incident) -> IncidentChange:
    """What happened to the incident, in one word."""
    if previous is None:
        return "opened"
    if incident.state is previous.state:
        return "updated"
    if incident.state is IncidentState.RESOLVED:
        return "resolved"
    if incident.state is IncidentState.REGRESSED:
        return "regressed"
    return "acknowledged" if incident.state is IncidentState.ACKNOWLEDGED else "updated"


def health_of(incident: Incident | None) -> Health:
    """A model's health by its newest incident."""
    if incident is None or not incident.open:
        return "healthy"
    return "faulty" if incident.severity is Severity.CRITICAL else "degraded"


def incident_message(
    previous: Incident | None, incident: Incident, links: Links
) -> IncidentMessage:
    """One state of an incident, for others."""
    resolved = incident.resolved_at
    return IncidentMessage(
        change=change_of(previous, incident),
        incident_id=incident.id,
        revision=incident.revision,
        key=f"{incident.model}/{incident.fault.kind}/{incident.fault.place}",
        state=incident.state.value,
        severity=incident.severity.value,
        title=incident.title,
        opened_at=moment(incident.since),
        detected_at=moment(incident.opened_at),
        updated_at=moment(incident.updated_at),
        resolved_at=None if resolved is None else moment(resolved),
        fault=_fault(incident.fault),
        scope=_scope(incident),
        evidence=[_evidence(each) for each in incident.findings[:EVIDENCE_LIMIT]],
        impact=ImpactMessage(incident.share, _requests(incident.findings)),
        actions=list(incident.actions),
        links=links.of(incident),
        owner=incident.owner,
    )


def action_message(action: Action) -> ActionMessage:
    """One transition of an action, for others."""
    return ActionMessage(
        change=action.state.value,
        action_id=action.id,
        model_name=action.model,
        time=moment(action.updated_at),
        args=action.args,
        incident_id=action.incident_id,
        kind=action.kind,
        summary=action.summary,
        reason=action.reason,
        attempt=action.attempt,
        approved_by=action.approved_by,
    )


def verdict_of(fault: Fault) -> str:
    """The verdict, how sure, the runner-up, and what was ruled out, in one line."""
    place = f" ({fault.place})" if fault.place else ""
    others = _ranked(fault)[1:]
    parts = [f"{fault.kind}{place}, {fault.confidence:.0%} sure"]
    if others and others[0][1] >= RULED_OUT:
        parts.append(f"else {others[0][0]} ({others[0][1]:.0%})")
    out = ruled_out(fault)
    parts.append("ruled out: " + ", ".join(out) if out else "nothing is ruled out yet")
    return "; ".join(parts)


def ruled_out(fault: Fault) -> list[str]:
    """The kinds that are improbable, but for UNKNOWN, which can never be excluded."""
    return [k.value for k, p in _ranked(fault)[1:] if p < RULED_OUT and k is not Kind.UNKNOWN]


def _ranked(fault: Fault) -> list[tuple[Kind, float]]:
    return sorted(fault.probabilities.items(), key=lambda each: (-each[1], each[0]))


def _fault(fault: Fault) -> FaultMessage:
    return FaultMessage(
        class_=fault.kind.value,
        place=fault.place,
        verdict=verdict_of(fault),
        confidence=fault.confidence,
        alternatives={k.value: p for k, p in _ranked(fault) if k is not fault.kind},
        ruled_out=ruled_out(fault),
        reasons=[each.text for each in fault.evidence[:EVIDENCE_LIMIT]],
    )


def _scope(incident: Incident) -> ScopeMessage:
    targets = [f.series.target for f in incident.findings if f.series.signal.startswith("feature")]
    return ScopeMessage(
        model_name=incident.model,
        model_version=incident.version,
        features=sorted({each for each in targets if each}),
        host=incident.fault.place if incident.fault.kind is Kind.HOST else None,
    )


def _evidence(finding: Finding) -> EvidenceMessage:
    return EvidenceMessage(
        detector=finding.detector,
        signal=finding.series.signal,
        target=finding.series.target,
        value=_finite(finding.value),
        expected=_finite(finding.expected),
        statistic=_finite(finding.statistic),
        threshold=_finite(finding.threshold),
        n=finding.n,
        since=moment(finding.since),
        at=moment(finding.at),
        statement=finding.statement,
        examples=list(finding.examples),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _requests(findings: Sequence[Finding]) -> int:
    return max((each.n for each in findings), default=0)
