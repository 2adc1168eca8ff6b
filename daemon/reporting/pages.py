"""Which states of an incident a person is told of, and what a page says. Pure."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec

from watchkeeper.daemon.reporting.links import FIRST_STEPS, Links, answers, show
from watchkeeper.daemon.reporting.messages import EVIDENCE_LIMIT, RULED_OUT, verdict_of
from watchkeeper.detectors.types import Change, Finding, Severity, moment
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Incident,
    IncidentState,
)

Occasion = Literal[
    "opened", "regressed", "escalated", "handover", "verdict", "approval", "resolved"
]

_NAMESPACE = uuid.UUID("6a1c4b1e-5b3c-4a55-9a2e-6d0c1f6f2f10")  # any constant will do
_TAG_LIMIT = 200  # characters; Sentry cuts what is longer
_LEVELS = {Severity.CRITICAL: "fatal", Severity.WARNING: "warning", Severity.INFO: "info"}
_ACTING = (IncidentState.MITIGATING, IncidentState.VERIFYING)
_NOTES_LIMIT = 50
_VERDICTS_LIMIT = 5  # pages of one incident that only tell of another verdict
_LOCATED = "located: "  # begins the line of a timeline that names the kind of fault


class BlankPage(ValueError):
    """A page lacks something the person who gets it needs."""


class Page(msgspec.Struct, frozen=True):
    """The ten things a person needs at night. None of them may be blank."""

    title: str
    impact: str
    verdict: str
    evidence: tuple[str, ...]
    changes: str
    action: str
    answer: str
    runbook: str
    dashboard: str
    resolves: str

    def __post_init__(self) -> None:
        blank = [name for name in self.__struct_fields__ if not _filled(getattr(self, name))]
        if blank:
            raise BlankPage(f"a page without {', '.join(blank)}")


def _filled(value: str | tuple[str, ...]) -> bool:
    return bool(value.strip()) if isinstance(value, str) else any(map(_filled, value))


def event_for(
    incident: Incident,
    previous: Incident | None,
    actions: Sequence[Action],
    links: Links = Links(),  # noqa: B008  # frozen
    changes: Sequence[Change] = (),
) -> dict[str, Any] | None:
    """The Sentry event about the step from `previous` to `incident`; None when it is no news.

    `actions` are the incident's, in their newest form, `changes` the model's. The event's id is
    the same whenever it is made of the same state.
    """
    what = occasion(incident, previous, actions)
    if what is None:
        return None
    page = page_of(incident, actions, links, changes)
    return {
        "event_id": event_id(incident, what, actions),
        "timestamp": incident.updated_at,
        "platform": "other",
        "logger": "watchkeeper.incidents",
        "level": "info" if what == "resolved" else _LEVELS[incident.severity],
        "message": {"formatted": _headline(what, page)},
        "fingerprint": ["watchkeeper", incident.id],
        "tags": _tags(incident, what, actions),
        "contexts": _contexts(incident, page, actions, links),
        "breadcrumbs": {"values": _breadcrumbs(incident)},
    }


def occasion(
    incident: Incident, previous: Incident | None, actions: Sequence[Action]
) -> Occasion | None:
    """Why a person is told now; the gravest reason where there are several.

    A hold is news for as long as it lasts; its event's id makes sure that it is told once.
    """
    if previous is None:
        return "opened"
    if not incident.open:
        return "resolved" if previous.open else None
    if incident.state is IncidentState.REGRESSED and not previous.open:
        return "regressed"
    if incident.state is IncidentState.OPEN and previous.state in _ACTING:
        return "handover"
    if incident.severity.rank > previous.severity.rank:
        return "escalated"
    if held(incident, actions):
        return "approval"
    if incident.fault.kind is previous.fault.kind or _verdicts(incident) > _VERDICTS_LIMIT:
        return None
    return "verdict"


def _verdicts(incident: Incident) -> int:
    """How often the kind of fault was said to be another, by the timeline."""
    texts = [note.text for note in incident.timeline if note.text.startswith(_LOCATED)]
    kinds = [text.removeprefix(_LOCATED).partition(" ")[0] for text in texts]
    return sum(kind != before for before, kind in pairwise(kinds))


def event_id(incident: Incident, what: Occasion, actions: Sequence[Action]) -> str:
    """The same for the same news, so that it is told once however often it is made."""
    state = {
        "opened": "",
        "escalated": incident.severity.value,
        "approval": ",".join(each.id for each in held(incident, actions)),
    }.get(what, str(incident.revision))
    return uuid.uuid5(_NAMESPACE, f"{incident.id}:{what}:{state}").hex


def held(incident: Incident, actions: Sequence[Action]) -> list[Action]:
    """The incident's actions that wait for a person."""
    ours = [each for each in actions if each.incident_id == incident.id]
    return [each for each in ours if each.state is ActionState.HELD]


def page_of(
    incident: Incident,
    actions: Sequence[Action],
    links: Links = Links(),  # noqa: B008  # frozen
    changes: Sequence[Change] = (),
) -> Page:
    """Everything a person needs to know of the incident now."""
    ours = [each for each in actions if each.incident_id == incident.id]
    linked = links.of(incident)
    span = f"{_clock(incident.since)} to {_clock(incident.updated_at)}"
    return Page(
        title=_title(incident),
        impact=_impact(incident),
        verdict=verdict_of(incident.fault),
        evidence=tuple(_evidence_line(each) for each in incident.findings[:EVIDENCE_LIMIT])
        or tuple(each.text for each in incident.fault.evidence[:EVIDENCE_LIMIT]),
        changes=_changes(incident, changes),
        action=_action(ours),
        answer=_answer(incident, ours),
        runbook=linked.get("runbook") or FIRST_STEPS[incident.fault.kind],
        dashboard=f"{linked.get('dashboard') or linked.get('incident') or show(incident)} ({span})",
        resolves=_resolves(incident),
    )


def _headline(what: Occasion, page: Page) -> str:
    word = {"opened": "", "approval": "approval wanted: ", "handover": "a person is needed: "}
    return (word.get(what, f"{what}: ") + page.title)[:1000]


def _title(incident: Incident) -> str:
    return f"{incident.title} since {_clock(incident.since)}"


def _impact(incident: Incident) -> str:
    n = max((each.n for each in incident.findings), default=0)
    share = f"{incident.share:.0%} of the predictions of {incident.model}"
    return f"{incident.severity}: {share}; up to {n:,} events in the worst window"


def _evidence_line(finding: Finding) -> str:
    series = finding.series
    what = f"{series.signal}[{series.target}]" if series.target else series.signal
    normal = "" if math.isnan(finding.expected) else f" (normal {finding.expected:.4g})"
    line = (
        f"{what} = {finding.value:.4g}{normal}; {finding.detector} {finding.statistic:.4g} "
        f"against {finding.threshold:.4g}, n = {finding.n}, since {_clock(finding.since)}"
    )
    return "; log: ".join((line, *finding.examples))


def _changes(incident: Incident, changes: Sequence[Change]) -> str:
    near = [c for c in changes if c.time.timestamp() <= incident.opened_at][-5:]
    if not near:
        return "no change was announced before the start"
    return "; ".join(
        f"{_clock(each.time.timestamp())} {each.kind} "
        f"{each.model_version or ''} {each.description}".strip()
        for each in near
    )


def _action(actions: Sequence[Action]) -> str:
    if not actions:
        return "nothing was done or is proposed"
    lines = [
        f"{each.kind} {each.state}: {each.summary}" + (f" ({each.reason})" if each.reason else "")
        for each in actions[-5:]
    ]
    if any(each.state is ActionState.HELD for each in actions):
        lines.append("if nobody answers, nothing is done")
    return "; ".join(lines)


def _answer(incident: Incident, actions: Sequence[Action]) -> str:
    waiting = [answers(each) for each in actions if each.state is ActionState.HELD]
    return "  |  ".join([*waiting, f"watchkeeper incident ack {incident.id}", show(incident)])


def _resolves(incident: Incident) -> str:
    if incident.resolved_at is not None:
        return f"resolved at {_clock(incident.resolved_at)}; incident {incident.id}"
    return (
        f"incident {incident.id} resolves by itself once every detector that found harm has "
        f"judged enough windows in a row without it"
    )


def _tags(incident: Incident, what: Occasion, actions: Sequence[Action]) -> dict[str, str]:
    ours = [each for each in actions if each.incident_id == incident.id]
    fault = incident.fault
    sure = fault.confidence >= 1 - RULED_OUT
    tags = {
        "occasion": what,
        "model.name": incident.model,
        "model.version": incident.version,
        "fault.class": fault.kind.value,
        "fault.verdict": "sure" if sure else "probable" if fault.confidence >= 0.5 else "open",
        "severity": incident.severity.value,
        "detector": incident.findings[0].detector if incident.findings else "",
        "action.state": ours[-1].state.value if ours else "",
        "incident.id": incident.id,
        "incident.state": incident.state.value,
        "incident.key": f"{incident.model}/{fault.kind}/{fault.place}",
    }
    return {name: _tag(value) for name, value in tags.items() if value}


def _tag(value: str) -> str:
    one_line = " ".join(value.split())
    return one_line if len(one_line) <= _TAG_LIMIT else one_line[: _TAG_LIMIT - 1] + "…"


def _contexts(
    incident: Incident, page: Page, actions: Sequence[Action], links: Links
) -> dict[str, dict[str, Any]]:
    ours = [each for each in actions if each.incident_id == incident.id]
    return {
        "page": {
            **msgspec.structs.asdict(page),
            "evidence": list(page.evidence),
        },
        "incident": {
            "id": incident.id,
            "state": incident.state.value,
            "revision": incident.revision,
            "since": _clock(incident.since),
            "opened": _clock(incident.opened_at),
            "share": incident.share,
        },
        "evidence": {str(i + 1): line for i, line in enumerate(page.evidence)},
        "reasons": {
            str(i + 1): f"{each.kind} {each.weight:+.1f}: {each.text}"
            for i, each in enumerate(incident.fault.evidence[:EVIDENCE_LIMIT])
        },
        "action": {each.id: f"{each.kind} {each.state}: {each.reason}" for each in ours[-5:]},
        "model": {"name": incident.model, "version": incident.version},
        "links": links.of(incident),
    }


def _breadcrumbs(incident: Incident) -> list[dict[str, Any]]:
    return [
        {"timestamp": note.at, "category": "timeline", "message": note.text, "level": "info"}
        for note in incident.timeline[-_NOTES_LIMIT:]
    ]


def _clock(at: float) -> str:
    return moment(at).strftime("%Y-%m-%d %H:%M:%S UTC")
