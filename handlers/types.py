"""The nouns of handling: incidents, faults, evidence, actions, outcomes, and two protocols."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from watchkeeper.detectors.types import Change, Finding, Scalar, Severity


class Kind(StrEnum):
    """What kind of thing is at fault."""

    DATA = "data"
    MODEL = "model"
    SERVING = "serving"
    HOST = "host"
    ATTACK = "attack"
    LABELS = "labels"
    UNKNOWN = "unknown"


class IncidentState(StrEnum):
    """The life of an incident, in order; REGRESSED is an open one that had been resolved."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MITIGATING = "mitigating"
    VERIFYING = "verifying"
    RESOLVED = "resolved"
    REGRESSED = "regressed"


class ActionState(StrEnum):
    """PLANNED -> (HELD -> ) PERMITTED or REFUSED -> STARTED -> one of the four ends, or UNDONE."""

    PLANNED = "planned"
    HELD = "held"
    PERMITTED = "permitted"
    REFUSED = "refused"
    STARTED = "started"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"
    UNDOING = "undoing"
    UNDONE = "undone"


class Phase(StrEnum):
    """How an action ended. ERROR: it could not be tried; INCONCLUSIVE: nobody can tell."""

    SUCCESSFUL = "successful"
    FAILED = "failed"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"


class Mode(StrEnum):
    """How far a model's handlers may go: say only, ask first, or act."""

    OBSERVE = "observe"
    ASK = "ask"
    ACT = "act"


class Evidence(msgspec.Struct, frozen=True):
    """One fact that speaks for (`weight` > 0) or against (< 0) a kind of fault.

    `weight` is in natural log-odds: 1 is a hint, 3 is strong, 5 nearly settles it.
    """

    kind: Kind
    weight: float
    text: str


class Fault(msgspec.Struct, frozen=True):
    """The verdict: the most probable kind, its place, and how sure we are.

    `place` names what is at fault, for instance a version, a feature or a host. `probabilities`
    holds every kind's posterior; `evidence` what led to it, strongest first.
    """

    kind: Kind
    place: str
    confidence: float
    probabilities: dict[Kind, float]
    evidence: tuple[Evidence, ...] = ()


class Note(msgspec.Struct, frozen=True):
    """One line of an incident's timeline; `at` in seconds since the epoch."""

    at: float
    text: str


class Incident(msgspec.Struct, frozen=True):
    """One fault of one model, from its first harm to its recovery.

    `revision` counts the published changes of an incident; (`id`, `revision`) names one state of
    it for ever. `findings` keeps the newest finding of each series and detector.
    """

    id: str
    model: str
    version: str
    state: IncidentState
    severity: Severity
    title: str
    opened_at: float
    updated_at: float
    since: float
    fault: Fault
    findings: tuple[Finding, ...]
    timeline: tuple[Note, ...] = ()
    actions: tuple[str, ...] = ()
    revision: int = 1
    resolved_at: float | None = None
    share: float = 1.0
    owner: str = ""

    @property
    def open(self) -> bool:
        return self.state is not IncidentState.RESOLVED


def incident_id(model: str, opened_at: float) -> str:
    """The same incident gets the same id on every run over the same events."""
    return "inc-" + _digest(model, repr(opened_at))


class Action(msgspec.Struct, frozen=True):
    """One thing to do about an incident. `kind` names the handler; `args` is all it needs.

    `reason` says why it is in its state: the guard that held or refused it, or the outcome.
    """

    id: str
    incident_id: str
    model: str
    kind: str
    state: ActionState
    planned_at: float
    updated_at: float
    summary: str
    args: dict[str, Scalar] = {}
    reason: str = ""
    attempt: int = 1
    approved_by: str = ""


def action_id(incident: str, kind: str, attempt: int, target: str = "") -> str:
    """Made before the action runs, the same however often it is planned."""
    return "act-" + _digest(incident, kind, str(attempt), target)


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


class Outcome(msgspec.Struct, frozen=True):
    """How one action ended; it reaches the core as an event. `at` in seconds since the epoch.

    `step` tells a preflight check (is it safe?) from the run and the undo. `result` carries what
    later actions need, for instance the candidate version a retraining made.
    """

    action_id: str
    model: str
    phase: Phase
    reason: str
    at: float
    step: Literal["preflight", "run", "undo"] = "run"
    result: dict[str, Scalar] = {}


class VersionRecord(msgspec.Struct, frozen=True):
    """What the stream has shown of one version; times in seconds since the epoch.

    `healthy_windows` counts closed windows without a harmful finding while it was live; `faulty`
    is set for ever once an incident blamed it.
    """

    version: str
    first_seen: float
    last_seen: float
    predictions: int = 0
    healthy_windows: int = 0
    faulty: bool = False


class SourceRecord(msgspec.Struct, frozen=True):
    """What the stream has shown of one source of a model's labels.

    `share` is that of its labels among all of the last half a day of minutes, about. `agreed`
    counts, by version, the closed windows in which its labels said no worse of it than before.
    """

    name: str
    share: float
    agreed: dict[str, int] = {}


class Context(msgspec.Struct, frozen=True):
    """What is known of a model besides its findings, for rules, handlers and guards.

    `now` is the model's watermark (event time). `changes` are the recent ones, oldest first,
    none later than `now`. `recent` are INFO findings near the incident that joined no incident.
    `examples` counts labelled events since the fault began. `sources` are those of labels that are
    told apart; `rest_judged_at` is when the incident's version was last judged without the labels
    of the source that stands out, None where it never was.
    """

    model: str
    now: float
    live_version: str
    versions: tuple[VersionRecord, ...] = ()
    changes: tuple[Change, ...] = ()
    recent: tuple[Finding, ...] = ()
    actions: tuple[Action, ...] = ()
    examples: int = 0
    label_coverage: float = float("nan")
    window_s: float = 60.0
    sources: tuple[SourceRecord, ...] = ()
    rest_judged_at: float | None = None


@runtime_checkable
class Rule(Protocol):
    """Says what an incident's findings speak for and against. Pure."""

    kind: ClassVar[Kind]

    def weigh(self, incident: Incident, context: Context) -> list[Evidence]:
        """The evidence for (> 0) and against (< 0) this rule's kind, or another's."""

    def place(self, incident: Incident, context: Context) -> str:
        """What exactly is at fault if it is this kind: a version, a feature, a host ..."""


@runtime_checkable
class Handler(Protocol):
    """Plans (pure) and performs (idempotent) one kind of action, its `name`."""

    @property
    def name(self) -> str:
        """The kind of its actions."""

    @property
    def undoable(self) -> bool:
        """Whether `undo` may put something back."""

    def plan(self, incident: Incident, context: Context) -> Action | None:
        """What this handler would do about the incident now, or None. Pure; `state` is PLANNED."""

    def preflight(self, action: Action) -> Outcome:
        """Looks whether running is safe now: SUCCESSFUL go, FAILED refuse, else ask a person."""

    def run(self, action: Action) -> Outcome:
        """Does it. Looks first: it may be called again after a crash, and must do it only once."""

    def undo(self, action: Action) -> Outcome:
        """Puts back what `run` changed, once; INCONCLUSIVE where nothing can be put back."""
