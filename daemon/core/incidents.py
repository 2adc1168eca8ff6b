"""The life of an incident: opened, joined, located, verified, resolved; pure values in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from watchkeeper.daemon.core import stretching
from watchkeeper.daemon.core.locate import locate
from watchkeeper.daemon.core.model import RECENT_LIMIT, Health, ModelState
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.signals import Stretch
from watchkeeper.detectors.types import Finding, Severity
from watchkeeper.handlers.types import (
    ActionState,
    Context,
    Fault,
    Incident,
    IncidentState,
    Kind,
    Note,
    Rule,
    incident_id,
)

FINDINGS_LIMIT = 100
NOTES_LIMIT = 100
UNREACHED_FACTOR = 6  # verify windows without a verdict after which a person is called
UNJUDGED_FACTOR = 3  # times verify_windows that a harm may go unjudged
RECENT_WINDOWS = 60  # how long an INFO finding may wait for an incident to explain
REGRESS_WINDOWS = 30  # a fault that returns so soon re-opens its incident

Key = tuple[str, str, str]  # signal, target, detector
LOCATABLE = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.REGRESSED)
ACTED = (ActionState.SUCCESSFUL, ActionState.UNDONE)
NOT_LOCATED = Fault(Kind.UNKNOWN, "", 0.0, {})


def key_of(finding: Finding) -> Key:
    """What stays the same when the same thing is found in another version."""
    return finding.series.signal, finding.series.target, finding.detector


def revised(incident: Incident, at: float, text: str, **changes: object) -> Incident:
    """A new published state of the incident, with one more line in its timeline."""
    notes = (*incident.timeline, Note(at, text))[-NOTES_LIMIT:]
    return replace(
        incident, timeline=notes, revision=incident.revision + 1, updated_at=at, **changes
    )


def remember(state: ModelState, policy: ModelPolicy, at: float, found: Sequence[Finding]) -> None:
    """Keeps explanations for a while: an incident may open that they belong to. Where that may be
    one of a stretch they are kept for longer, and of each onset the gravest alone."""
    stretches = stretching.has(state, policy)
    windows = RECENT_WINDOWS + (stretching.lasting(policy) if stretches else 0)
    oldest = at - windows * policy.window_s
    kept = [f for f in state.recent if f.at > oldest]
    kept.extend(f for f in found if f.severity is Severity.INFO)
    state.recent = (_one_an_onset(kept) if stretches else kept)[-RECENT_LIMIT:]


def _one_an_onset(findings: Sequence[Finding]) -> list[Finding]:
    """One finding of each series, detector and onset: the gravest, up to the newest end; those
    found again last of all."""
    kept: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        onset = finding.series, finding.detector, finding.direction, finding.since
        known = kept.pop(onset, finding)
        worst = max(known, finding, key=lambda f: abs(f.statistic))
        kept[onset] = replace(worst, at=max(known.at, finding.at))
    return list(kept.values())


def take_findings(
    state: ModelState, policy: ModelPolicy, at: float, found: Sequence[Finding]
) -> None:
    """Opens, re-opens or joins the model's incident with the findings of one window."""
    harm = [f for f in found if f.severity is not Severity.INFO]
    current = state.incident
    if current is not None and current.open:
        _join(state, at, found)
    elif harm and current is not None and _returned(state, current, policy, at, harm):
        _reopen(state, current, at, harm)
    elif harm:
        _open(state, at, harm)


def relocate(state: ModelState, context: Context, rules: Sequence[Rule]) -> None:
    """Weighs the evidence anew while nothing has been done yet."""
    incident = state.incident
    if incident is None or incident.state not in LOCATABLE or state.planned_for:
        return
    fault = locate(incident, context, rules)
    if fault.kind is incident.fault.kind and fault.place == incident.fault.place:
        state.incident = replace(incident, fault=fault)
        return
    text = f"located: {fault.kind} ({fault.place or 'no place'}), {fault.confidence:.0%} sure"
    state.incident = revised(incident, context.now, text, fault=fault)


def follow(state: ModelState, verdicts: Mapping[Key, bool]) -> None:
    """Counts, for each harm of the incident, judged windows with and without its finding.

    `verdicts` holds what was judged of the live version in one window: True where it was found.
    """
    for health in state.health:
        found = verdicts.get((health.signal, health.target, health.detector))
        if found is None:
            health.unjudged += 1
            continue
        health.unjudged = 0
        if found:
            health.bad += 1
            health.quiet = 0
        else:
            health.quiet += 1


def retire(state: ModelState, policy: ModelPolicy, at: float) -> None:
    """Lets go of harms that nothing shows any more, such as those of a host that was replaced."""
    gone = [h for h in state.health if _waited_in_vain(state, policy, h, at)]
    if not gone or state.incident is None:
        return
    state.health = [h for h in state.health if h not in gone]
    names = ", ".join(f"{h.signal} {h.target}".strip() for h in gone)
    text = f"not shown any more, no longer waited for: {names}"
    if not state.health:
        text += "; a person has to resolve this"
    state.incident = revised(state.incident, at, text)


def _waited_in_vain(state: ModelState, policy: ModelPolicy, health: Health, at: float) -> bool:
    """Whether there was no verdict for long. Stretches are hours long: the next ones are waited
    for, and their labels."""
    if health.unjudged < UNJUDGED_FACTOR * policy.verify_windows:
        return False
    of_stretches = health.signal == Stretch.name and stretching.has(state, policy)
    return not of_stretches or health.unjudged >= stretching.patience(state, policy, at)


def recovered(state: ModelState, policy: ModelPolicy) -> bool:
    """Every harm was judged and found gone, often enough in a row."""
    return bool(state.health) and all(h.quiet >= policy.recover_windows for h in state.health)


def unreached(state: ModelState, policy: ModelPolicy, at: float) -> bool:
    """Whether nothing could be judged for long since the last action."""
    if state.verified_windows < UNREACHED_FACTOR * policy.verify_windows:
        return False
    if not stretching.has(state, policy) or all(h.signal != Stretch.name for h in state.health):
        return True
    return state.verified_windows >= stretching.patience(state, policy, at)


def still_bad(state: ModelState, policy: ModelPolicy) -> bool:
    """Some harm was found too often since the last action."""
    return any(h.bad >= policy.verify_windows for h in state.health)


def helped(state: ModelState) -> bool:
    """Every harm that is still found lies nearer to normal than before the last action."""
    bad = [h for h in state.health if h.quiet == 0]
    return bool(bad) and all(h.level < h.before if h.up else h.level > h.before for h in bad)


def start_over(state: ModelState) -> None:
    """Forgets the counts: what follows is judged afresh."""
    for health in state.health:
        health.bad = health.quiet = 0
        health.before = health.level


def resolve(state: ModelState, at: float, text: str) -> None:
    """Closes the incident; it stays known for a while in case the fault returns."""
    if state.incident is None:
        return
    state.incident = revised(state.incident, at, text, state=IncidentState.RESOLVED, resolved_at=at)
    state.health.clear()
    state.verify_since = None
    state.planned_for = ""


def title(incident_model: str, finding: Finding) -> str:
    """One line: model, version, symptom and size."""
    series = finding.series
    what = finding.statement or f"{series.signal} {series.target}".strip()
    value = f"{finding.value:.4g}"
    if finding.expected == finding.expected:
        value = f"{finding.expected:.4g} → {value}"
    return f"{incident_model} {series.version}: {what} {value}"


def _open(state: ModelState, at: float, harm: Sequence[Finding]) -> None:
    worst = max(harm, key=lambda f: f.severity.rank)
    text = f"opened: {title(state.model, worst)}"
    near = [f for f in state.recent if f.series.version in ("", worst.series.version)]
    state.incident = Incident(
        id=incident_id(state.model, at),
        model=state.model,
        version=worst.series.version or state.live_version,
        state=IncidentState.OPEN,
        severity=worst.severity,
        title=title(state.model, worst),
        opened_at=at,
        updated_at=at,
        since=min(f.since for f in harm),
        fault=NOT_LOCATED,
        findings=_gravest((*near, *harm)),
        timeline=(Note(at, text),),
    )
    state.health = []
    state.planned_for = ""
    state.verify_since = None
    state.absent = 0
    _watch_health(state, harm)


def _returned(
    state: ModelState, current: Incident, policy: ModelPolicy, at: float, harm: Sequence[Finding]
) -> bool:
    if current.resolved_at is None or current.id == state.accepted:
        return False
    if at - current.resolved_at > REGRESS_WINDOWS * policy.window_s:
        return False
    known = {key_of(f) for f in current.findings}
    return any(key_of(f) in known for f in harm)


def _reopen(state: ModelState, current: Incident, at: float, harm: Sequence[Finding]) -> None:
    worst = max((*harm, *current.findings), key=lambda f: f.severity.rank)
    acted = any(state.actions[i].state in ACTED for i in current.actions if i in state.actions)
    severity = Severity.CRITICAL if acted else worst.severity
    state.incident = revised(
        current,
        at,
        f"returned: {title(state.model, harm[0])}",
        state=IncidentState.REGRESSED,
        version=state.live_version or current.version,
        severity=severity,
        resolved_at=None,
        findings=_gravest((*current.findings, *harm)),
    )
    state.health = []
    if acted:
        state.planned_for = "person"  # what was done did not last: no second try by machine
    _watch_health(state, harm)


def _join(state: ModelState, at: float, found: Sequence[Finding]) -> None:
    incident = state.incident
    if incident is None or not found:
        return
    mine = [f for f in found if f.series.version in (incident.version, state.live_version)]
    harm = [f for f in mine if f.severity is not Severity.INFO]
    severity = max((incident.severity, *(f.severity for f in harm)), key=lambda s: s.rank)
    findings = _gravest((*incident.findings, *mine))
    _watch_health(state, harm)
    known = {f.series.signal for f in incident.findings if f.severity is not Severity.INFO}
    new = [f for f in harm if f.series.signal not in known]
    if severity is incident.severity and not new:
        state.incident = replace(incident, findings=findings)
        return
    if severity is incident.severity:
        text = f"joined by: {title(state.model, new[0])}"
        state.incident = revised(incident, at, text, findings=findings)
        return
    worst = max(harm, key=lambda f: f.severity.rank)
    state.incident = revised(
        incident,
        at,
        f"escalated to {severity}: {title(state.model, worst)}",
        severity=severity,
        title=title(state.model, worst),
        findings=findings,
    )


def _watch_health(state: ModelState, harm: Sequence[Finding]) -> None:
    known = {(h.signal, h.target, h.detector): h for h in state.health}
    for finding in harm:
        key = key_of(finding)
        if key not in known:
            known[key] = Health(*key)
            state.health.append(known[key])
        known[key].level = finding.value
        known[key].up = finding.direction != "down"


def _gravest(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """One finding a series and detector: the gravest, from the first onset to the newest end;
    harm first."""
    kept: dict[tuple[object, str], Finding] = {}
    for finding in findings:
        known = kept.get((finding.series, finding.detector), finding)
        worst = max(known, finding, key=lambda f: abs(f.statistic))
        since, at = min(known.since, finding.since), max(known.at, finding.at)
        kept[finding.series, finding.detector] = replace(worst, since=since, at=at)
    ranked = sorted(kept.values(), key=lambda f: (-f.severity.rank, f.since))
    return tuple(ranked[:FINDINGS_LIMIT])
