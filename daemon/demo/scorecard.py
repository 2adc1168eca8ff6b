"""Compares what was injected with what was reported: found, located, handled, false pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from watchkeeper.daemon.demo.faults import Fault
from watchkeeper.detectors.types import Severity
from watchkeeper.handlers.types import Action, ActionState, Incident, IncidentState, Kind

GRACE_S = 600.0  # labels are late: an incident may open this long after its fault ended


class Case(msgspec.Struct, frozen=True):
    """What became of one fault. Delays in simulated seconds since its start; None: never."""

    fault: str
    model: str
    kind: Kind
    found: bool
    located: bool
    handled: bool
    verdict: Kind | None = None
    place: str = ""
    incident: str = ""
    found_after_s: float | None = None
    resolved_after_s: float | None = None


class FalsePage(msgspec.Struct, frozen=True):
    """A page without a fault behind it."""

    incident: str
    model: str
    title: str
    opened_at: float


class ScoreCard(msgspec.Struct, frozen=True):
    """The demo's result; `seconds` is how long it took on the wall clock."""

    faults: int
    found: int
    located: int
    handled: int
    false_pages: int
    seconds: float
    simulated_s: float
    mean_delay_s: float | None
    cases: tuple[Case, ...]
    pages: tuple[FalsePage, ...] = ()


def score(
    faults: Sequence[Fault],
    ends: Mapping[str, float],
    incidents: Sequence[Incident],
    actions: Sequence[Action],
) -> tuple[tuple[Case, ...], tuple[FalsePage, ...]]:
    """A case for each fault, and the pages that belong to none.

    `ends` says when each fault ended, by its name. The first incident of a fault counts; more of
    them are no false pages, for something was wrong.
    """
    by_age = sorted(incidents, key=lambda incident: incident.opened_at)
    cases, matched = [], set[str]()
    for fault in faults:
        mine = [i for i in by_age if belongs(i, fault, ends[fault.name])]
        matched.update(incident.id for incident in mine)
        cases.append(_case(fault, ends[fault.name], mine[0] if mine else None, actions))
    pages = tuple(
        FalsePage(i.id, i.model, i.title, i.opened_at)
        for i in by_age
        if i.severity is Severity.CRITICAL and i.id not in matched
    )
    return tuple(cases), pages


def belongs(incident: Incident, fault: Fault, end: float) -> bool:
    """Whether an incident is about a fault: of its model, opened while it lasted or soon after."""
    if incident.model != fault.model:
        return False
    return fault.start <= incident.opened_at <= end + GRACE_S


def total(
    cases: tuple[Case, ...], pages: tuple[FalsePage, ...], seconds: float, simulated_s: float
) -> ScoreCard:
    """The score card of some cases."""
    delays = [case.found_after_s for case in cases if case.found_after_s is not None]
    return ScoreCard(
        faults=len(cases),
        found=sum(case.found for case in cases),
        located=sum(case.located for case in cases),
        handled=sum(case.handled for case in cases),
        false_pages=len(pages),
        seconds=round(seconds, 2),
        simulated_s=simulated_s,
        mean_delay_s=round(sum(delays) / len(delays), 1) if delays else None,
        cases=cases,
        pages=pages,
    )


def _case(fault: Fault, end: float, incident: Incident | None, actions: Sequence[Action]) -> Case:
    if incident is None:
        return Case(fault.name, fault.model, fault.kind, False, False, False)
    resolved = incident.resolved_at
    return Case(
        fault=fault.name,
        model=fault.model,
        kind=fault.kind,
        found=True,
        located=incident.fault.kind is fault.kind,
        handled=_handled(fault, end, incident, actions),
        verdict=incident.fault.kind,
        place=incident.fault.place,
        incident=incident.id,
        found_after_s=round(incident.opened_at - fault.start, 1),
        resolved_after_s=None if resolved is None else round(resolved - fault.start, 1),
    )


def _handled(fault: Fault, end: float, incident: Incident, actions: Sequence[Action]) -> bool:
    """Resolved, not before the fault had ended; a bad version only by a successful rollback."""
    if incident.state is not IncidentState.RESOLVED or incident.resolved_at is None:
        return False
    if incident.resolved_at < end:
        return False
    if not fault.deploys:
        return True
    return any(
        a.incident_id == incident.id and a.kind == "rollback" and a.state is ActionState.SUCCESSFUL
        for a in actions
    )
