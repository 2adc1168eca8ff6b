"""What is normal, learned anew of versions: after a change that was accepted.

A person accepts what an incident shows, or asks for it; a deployed version, which begins with the
reference of the one before it, is accepted once it was healthy by that for long enough.

A version's old reference stays in force until the new one is complete, and that counts only once
every window it was learned from has closed without harm, and as many after them as a recovery
needs, since some harm is found late: what is found beyond what was accepted makes the learning
begin again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from watchkeeper.daemon.core import incidents
from watchkeeper.daemon.core.closing import Closing
from watchkeeper.daemon.core.model import ModelState, Renewal
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Renewed, Step
from watchkeeper.daemon.core.versions import DEPLOYED
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.signals import Stretch
from watchkeeper.detectors.templates.watch import SIGNAL as LOGS
from watchkeeper.detectors.types import Change, Finding, Series, Severity
from watchkeeper.handlers.types import Incident

MEASURED = ("features", "joint", "output")  # signals whose samples hang on the reference


def accepted(model: ModelState, incident: Incident) -> list[str]:
    """The versions whose harm a person may accept: those that were found harmful and not left as
    faulty, in order of name."""
    found = {f.series.version for f in incident.findings if f.severity is not Severity.INFO}
    known = [v for v in sorted(found) if v in model.versions]
    return [v for v in known if not model.versions[v].faulty]


def accept(state: State, model: ModelState, incident: Incident, by: str, at: float) -> list[str]:
    """What an incident shows of its versions is normal from now on; says what becomes of each."""
    said, model.accepted = [], incident.id
    for version in accepted(model, incident):
        mine = [f for f in incident.findings if f.series.version == version]
        keys = [incidents.key_of(f) for f in mine if f.severity is not Severity.INFO]
        clear(model, {f.series for f in mine})
        said.append(begin(state, model, Renewal(version, incident.id, by, at, sorted(set(keys)))))
    return said


def begin(state: State, model: ModelState, renewal: Renewal) -> str:
    """Begins to learn a version's reference anew where that can be; says so, or why not."""
    version, profile = renewal.version, model.profiles.get(renewal.version)
    if model.links:
        return f"{version}: a spread model has imported references alone"
    if profile is None:
        return f"{version}: its first reference is being learned"
    if profile.source == "imported" and profile.version == version:
        return f"{version}: its imported reference stays until another is imported"
    before = model.renewals.get(version)
    if before is not None:
        known = sorted({*before.accepted, *renewal.accepted})
        renewal = replace(renewal, accepted=known, heirs=before.heirs)
    model.renewals[version] = renewal
    state.renewing.add(model.model)
    _begin_again(model, renewal)
    n = state.policy(model.model).learn_n
    return f"{version}: its reference is learned anew from its next {n} predictions"


def adopt(model: ModelState, profile: Profile) -> None:
    """A version is compared with what a person gave: what hung on its reference begins anew."""
    model.refer(profile, profile.version)
    clear(model, _measured(model, profile.version))


def clear(model: ModelState, series: Collection[Series]) -> None:
    """Detectors forget these series, and learn from now on what is normal."""
    model.lasts = False
    for version in sorted({each.version for each in series}):
        row = model.arrays.ledger.rows.get(Member(model.model, version))
        panel = None if row is None else model.arrays.panel_of.get(row)
        if panel is not None and row is not None:
            panel.clear(row, {(s.signal, s.target) for s in series if s.version == version})
    for each in series:
        for judge in model.judges.get(each, ()):
            watch = judge.watch
            judge.detector = make(watch.detector, watch.settings, watch.severity)
        if each.signal == Stretch.name and model.estimates is not None:
            model.estimates.forget_normal(each.version)
        if each.signal == LOGS and model.statements is not None:
            model.statements.accept(each.target)


def muted(model: ModelState, found: Sequence[Finding]) -> list[Finding]:
    """The findings, with those that a person accepted as mere evidence while it is learned anew
    what is normal."""
    keys = {
        (version, *key)
        for renewal in model.renewals.values()
        for version in (renewal.version, *renewal.heirs)
        for key in renewal.accepted
    }
    return [
        replace(each, severity=Severity.INFO)
        if (each.series.version, *incidents.key_of(each)) in keys
        else each
        for each in found
    ]


def close(state: State, closing: Closing, step: Step) -> None:
    """Takes what is learned anew of a model one closed window further."""
    model, end = closing.model, closing.window.end
    for version in [v for v in model.former if end > model.profiles[v].until]:
        model.let_former_go(version)
    # Harm may show a few windows after it begins.
    sure = end - closing.policy.recover_windows * closing.policy.window_s
    harmed = any(f.severity is not Severity.INFO for f in closing.found)
    harmed |= model.incident is not None and model.incident.open
    for renewal in list(model.renewals.values()):
        if harmed:
            _begin_again(model, renewal)
        elif renewal.candidate is not None and sure > renewal.candidate.until:
            _complete(model, renewal, renewal.candidate, end, step)
    deployed = _deployed(closing)
    if not harmed and model.live_version in deployed:
        record = model.versions[model.live_version]
        enough = record.healthy_windows >= closing.policy.healthy_windows_min
        if enough and not record.faulty:
            begin(state, model, Renewal(model.live_version, "", "", end))
    if not model.renewals and not deployed:
        state.renewing.discard(model.model)


def _deployed(closing: Closing) -> set[str]:
    """The versions that were deployed lately and have no reference of their own, nor learn one."""
    model, policy, now = closing.model, closing.policy, closing.window.end
    if policy.rebaseline == "never" or model.links:
        return set()
    lately = now - policy.deployment_window_s
    named = {c.model_version for c in model.changes if c.kind in DEPLOYED and _at(c) >= lately}
    return {version for version in named - {None} if version and _waits(model, version)}


def _waits(model: ModelState, version: str) -> bool:
    if version not in model.versions:
        return True
    if version in model.renewals or version not in model.profiles:
        return False
    profile = model.profiles[version]
    return profile.source == "learned" and profile.version != version


def _at(change: Change) -> float:
    return change.time.timestamp()


def _begin_again(model: ModelState, renewal: Renewal) -> None:
    model.learning.pop(renewal.version, None)
    renewal.candidate = None
    member = Member(model.model, renewal.version)
    ledger = model.arrays.ledger
    ledger.learns(ledger.member(model.row, member), True)


def _complete(model: ModelState, renewal: Renewal, learned: Profile, at: float, step: Step) -> None:
    """The new reference holds for windows of which nothing is counted yet."""
    old = model.profiles[renewal.version]
    profile = replace(learned, until=max(learned.until, model.mark.newest))
    heirs = [v for v in renewal.heirs if v in model.profiles and model.profiles[v] == old]
    for version in (renewal.version, *heirs):
        model.renew(profile, version)
        clear(model, _measured(model, version))
    step.profiles.append(profile)
    text = f"{renewal.version}: its reference was learned anew from {profile.n} predictions"
    renewed = Renewed(model.model, renewal.version, renewal.incident, renewal.by, text)
    step.renewed.append(renewed)
    before = model.incident
    if before is not None and before.id == renewal.incident:
        model.incident = incidents.revised(before, at, text)
        step.note(model.model, [], before, model.incident)


def _measured(model: ModelState, version: str) -> set[Series]:
    """The series of a version whose samples hang on its reference."""
    row = model.arrays.ledger.rows[Member(model.model, version)]
    panel = model.arrays.panel_of.get(row)
    posts = [] if panel is None else [p for p in panel.posts if p.signal in MEASURED]
    found = {Series(model.model, version, p.signal, t) for p in posts for t in p.targets}
    return found | {s for s in model.judges if s.version == version and s.signal in MEASURED}
