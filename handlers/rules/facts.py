"""What the rules ask of an incident: small questions with one answer each."""

from __future__ import annotations

from collections.abc import Iterable

from watchkeeper.detectors.mistakes.mistakes import KINDS
from watchkeeper.detectors.types import Change, Finding, Severity
from watchkeeper.handlers.types import Context, Incident, VersionRecord

QUALITY_SUFFIXES = (":missing", ":unseen", ":out_of_range", *KINDS)
ASKED_AGAIN = ("errors", "latency")  # what clients send a request again for
NEAR_WINDOWS = 5  # windows within which two onsets count as together
ESTABLISHED_WINDOWS = 5  # healthy windows after which a version is known to have worked
AGREED_WINDOWS = 10  # windows after which a source of labels is known to have agreed with a version
NOTICED_WINDOWS = 3  # in which it would have been noticed that answers got worse


def of(incident: Incident, *signals: str) -> list[Finding]:
    """The incident's findings on any of these signals."""
    return [f for f in incident.findings if f.series.signal in signals]


def harmful(findings: Iterable[Finding]) -> list[Finding]:
    """Those that are more than an explanation."""
    return [f for f in findings if f.severity is not Severity.INFO]


def quality(incident: Incident) -> list[Finding]:
    """Features that are missing, unseen or out of range, or a broken schema, beyond doubt."""
    return [
        f
        for f in harmful(of(incident, "features"))
        if f.series.target.endswith(QUALITY_SUFFIXES) or f.series.target.startswith("schema:")
    ]


def repeated(incident: Incident) -> str:
    """What came twice, and how much of it; "" where nothing did."""
    found = harmful(of(incident, "duplicates"))
    return ", ".join(f"{f.value:.0%} of the {f.series.target}" for f in found)


def retried(incident: Incident, context: Context) -> bool:
    """Whether requests came twice as clients ask again: since they failed or had to wait, and no
    sooner. Explanations that requests wait count, too, but not on their own."""
    found = harmful(of(incident, "duplicates"))
    if not found or not harmful(of(incident, *ASKED_AGAIN)):
        return False
    near = NEAR_WINDOWS * context.window_s
    slow = [
        f.since for f in (*incident.findings, *context.recent) if f.series.signal in ASKED_AGAIN
    ]
    slow = [since for since in slow if abs(since - incident.since) <= near]
    return bool(slow) and min(slow) <= min(f.since for f in found)


def drift(incident: Incident, context: Context) -> list[Finding]:
    """Input drift whose onset is near the incident's."""
    seen = {f.id: f for f in (*incident.findings, *context.recent)}
    return [
        f
        for f in seen.values()
        if f.series.signal in ("features", "joint") and is_near(f, incident, context)
    ]


def latest_onset(incident: Incident) -> float:
    """When the harm had begun at the latest: where it was found over a stretch of time, and nothing
    else told sooner, it may have begun at any time from the incident's `since` up to then."""
    found = harmful(of(incident, "stretch"))
    ends = [f.at for f in found if f.since <= incident.since <= f.at]
    return max(incident.since, min(incident.opened_at, max(ends, default=incident.since)))


def is_near(finding: Finding, incident: Incident, context: Context) -> bool:
    """Whether a finding's onset is near the incident's."""
    near = NEAR_WINDOWS * context.window_s
    return incident.since - near <= finding.since <= latest_onset(incident) + near


def worse_answers(incident: Incident) -> list[Finding]:
    """Harm in what the model answers: wrong, expected to be wrong, or not even valid."""
    return harmful(of(incident, "accuracy", "estimate", "stretch", "output"))


def foreseen(incident: Incident) -> list[Finding]:
    """Harm that the scores themselves let expect, before any label: they still mean what they
    meant, and it is the inputs that are harder."""
    return harmful(of(incident, "estimate"))


def unforeseen(incident: Incident) -> list[Finding]:
    """Labels that say otherwise than scores had let expect."""
    return of(incident, "estimate_gap")


def failing(incident: Incident) -> list[Finding]:
    """Harm in how the model is served: errors, latency, silence."""
    return harmful(of(incident, "errors", "latency", "volume"))


def live(incident: Incident, context: Context) -> VersionRecord | None:
    """The record of the version the incident is about."""
    return next((v for v in context.versions if v.version == incident.version), None)


def deployment(incident: Incident, context: Context) -> Change | None:
    """The newest change that made the incident's version live, if one is known."""
    kinds = ("deployment", "promotion", "rollback")
    for change in reversed(context.changes):
        if change.kind in kinds and change.model_version == incident.version:
            return change
    return None


def untested(incident: Incident, context: Context) -> bool:
    """True when the incident's version was deployed and has hardly been healthy since."""
    record = live(incident, context)
    made = deployment(incident, context)
    if record is None or made is None:
        return False
    return record.healthy_windows < ESTABLISHED_WINDOWS


def new_to(source: str, incident: Incident, context: Context) -> bool:
    """True when the incident's version was deployed and labels of this source have hardly agreed
    with it, while with another version they did, or the version is untested altogether."""
    agreed = next((s.agreed for s in context.sources if s.name == source), {})
    if agreed.get(incident.version, 0) >= AGREED_WINDOWS:
        return False
    if untested(incident, context):
        return True
    others = (n for version, n in agreed.items() if version != incident.version)
    known = max(others, default=0) >= AGREED_WINDOWS
    return known and deployment(incident, context) is not None


def rest_as_before(incident: Incident, context: Context) -> bool:
    """Whether the labels of all but the source that stands out were there to say that answers got
    worse since the harm began. That they said so is a finding."""
    at = context.rest_judged_at
    return at is not None and at >= latest_onset(incident) + NOTICED_WINDOWS * context.window_s


def targets(findings: Iterable[Finding], limit: int = 3) -> str:
    """The distinct targets of some findings, for a sentence."""
    names = list(dict.fromkeys(_name(f) for f in findings))
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _name(finding: Finding) -> str:
    """What a finding is about, for people: a feature, a host's metric, a quantile."""
    series = finding.series
    if series.signal == "joint":
        return "how features go together"
    return series.target.replace(":max", "").split(":")[0] or series.signal
