"""Guards answer for every planned action: go, wait, ask a person, or no; always with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Incident,
    Kind,
    Mode,
    Outcome,
    Phase,
)

DAY_S = 86_400.0
SURE = 0.7  # posterior below which a person decides
DOUBTED = 0.1  # posterior of labels from which on a person decides: who lies could switch a model
SWITCHES = ("rollback", "promote")  # what makes another version live
CHANGES_MODEL = (*SWITCHES, "retrain")
PENDING = "preflight has not answered yet"
# States that only an action which was run to its end, or is being undone, can be in.
DONE = (
    ActionState.SUCCESSFUL,
    ActionState.FAILED,
    ActionState.ERROR,
    ActionState.INCONCLUSIVE,
    ActionState.UNDOING,
    ActionState.UNDONE,
)


class Answer(StrEnum):
    """What a guard says of an action."""

    PERMIT = "permit"
    HOLD = "hold"
    REFUSE = "refuse"
    WAIT = "wait"


class Verdict(msgspec.Struct, frozen=True):
    """An answer and its reason, a sentence for the timeline."""

    answer: Answer
    reason: str


class Case(msgspec.Struct, frozen=True):
    """All that the guards look at. `checked` is the preflight's outcome, None before it."""

    action: Action
    incident: Incident
    context: Context
    policy: ModelPolicy
    paused: bool = False
    blind_since: float | None = None
    checked: Outcome | None = None


def decide(case: Case) -> Verdict:
    """The first guard that objects decides; without objection the mode does."""
    standing = _observed(case) or objection(case)
    if standing is not None:
        return standing
    if case.checked is None:
        return Verdict(Answer.WAIT, PENDING)
    for guard in (_unfit, _doubted, _unsure, _uncorroborated):
        verdict = guard(case)
        if verdict is not None:
            return verdict
    if case.policy.mode_of(case.action.kind) is Mode.ASK:
        return Verdict(Answer.HOLD, "mode is ask: waits for approval")
    return Verdict(Answer.PERMIT, "mode is act and no guard objects")


def objection(case: Case) -> Verdict | None:
    """What speaks against it whoever wants it; looked at again when a person approves."""
    for guard in (_paused, _attacked, _faulty_target, _spent, _blind):
        verdict = guard(case)
        if verdict is not None:
            return verdict
    return None


def _observed(case: Case) -> Verdict | None:
    if case.policy.mode_of(case.action.kind) is Mode.OBSERVE:
        return Verdict(Answer.REFUSE, "mode is observe: this is what would have been done")
    return None


def _paused(case: Case) -> Verdict | None:
    if case.paused:
        return Verdict(Answer.WAIT, "the model is paused")
    return None


def _attacked(case: Case) -> Verdict | None:
    if case.action.kind not in CHANGES_MODEL:
        return None
    if case.incident.fault.kind is Kind.ATTACK:
        return Verdict(Answer.REFUSE, "an attack must not decide which model is served")
    if case.incident.fault.kind is Kind.LABELS:
        return Verdict(Answer.REFUSE, "labels in doubt must not decide which model is served")
    return None


def _faulty_target(case: Case) -> Verdict | None:
    target = case.action.args.get("to_version")
    for record in case.context.versions:
        if record.version == target and record.faulty:
            return Verdict(Answer.REFUSE, f"version {target} has caused an incident before")
    return None


def _spent(case: Case) -> Verdict | None:
    """The cooldown and the daily limit, over finished actions of the same kind."""
    now, policy = case.context.now, case.policy
    past = [a.updated_at for a in _finished(case.context.actions, case.action)]
    if past and now - max(past) < policy.cooldown_s:
        minutes = (now - max(past)) / 60
        return Verdict(
            Answer.REFUSE,
            f"cooldown: the last {case.action.kind} was {minutes:.0f} min ago, "
            f"{policy.cooldown_s / 60:.0f} min must pass",
        )
    today = sum(now - at < DAY_S for at in past)
    if today >= policy.daily_limit:
        limit = policy.daily_limit
        return Verdict(Answer.REFUSE, f"daily limit: {today} of {limit} in the last 24 h")
    return None


def _blind(case: Case) -> Verdict | None:
    if case.blind_since is not None:
        return Verdict(Answer.WAIT, "the stream is not caught up: no action on a stale view")
    return None


def _unfit(case: Case) -> Verdict | None:
    checked = case.checked
    if checked is not None and checked.phase is Phase.FAILED:
        return Verdict(Answer.REFUSE, f"preflight: {checked.reason}")
    if checked is not None and checked.phase is not Phase.SUCCESSFUL:
        return Verdict(Answer.HOLD, f"preflight is undecided: {checked.reason}")
    return None


def _doubted(case: Case) -> Verdict | None:
    """Labels that may lie are no ground to change a model on; what the preflight says may be."""
    fault, checked = case.incident.fault, case.checked
    lie = fault.probabilities.get(Kind.LABELS, 0.0)
    if case.action.kind not in CHANGES_MODEL or lie < DOUBTED:
        return None
    said = "" if checked is None else f"; preflight: {checked.reason}"
    reason = f"{fault.confidence:.0%} sure that it is the {fault.kind}, {lie:.0%} the labels{said}"
    return Verdict(Answer.HOLD, reason)


def _unsure(case: Case) -> Verdict | None:
    fault = case.incident.fault
    if case.action.kind in CHANGES_MODEL and fault.confidence < SURE:
        return Verdict(Answer.HOLD, f"only {fault.confidence:.0%} sure that it is the {fault.kind}")
    return None


def _uncorroborated(case: Case) -> Verdict | None:
    """Whoever can forge one kind of event must not be able to switch a model.

    A retraining switches nothing: its candidate has to pass here when it is promoted.
    """
    if case.action.kind not in SWITCHES:
        return None
    if len(sources(case.incident, case.context)) < 2:
        return Verdict(Answer.HOLD, "all evidence comes from one kind of event")
    return None


SOURCE_OF = {
    "accuracy": "labels",
    "clients": "predictions",
    "duplicates": "predictions",
    "errors": "predictions",
    "estimate_gap": "labels",
    "features": "predictions",
    "joint": "predictions",
    "labels": "labels",
    "latency": "predictions",
    "logs": "logs",
    "metrics": "metrics",
    "output": "predictions",
    "volume": "predictions",
}
# Whoever forges labels, and whoever forges predictions, can make them up: they bear nothing out.
OF_SEVERAL = frozenset({"estimate", "stretch"})


def sources(incident: Incident, context: Context) -> set[str]:
    """The kinds of event that the incident's evidence rests on."""
    signals = {f.series.signal for f in incident.findings} - OF_SEVERAL
    found = {SOURCE_OF.get(signal, "predictions") for signal in signals}
    if any(change.model_version == incident.version for change in context.changes):
        found.add("changes")
    return found


def _finished(actions: Sequence[Action], like: Action) -> list[Action]:
    return [a for a in actions if a.kind == like.kind and a.id != like.id and a.state in DONE]
