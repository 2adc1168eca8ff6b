"""What goes into the database and comes out of it, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from watchkeeper.daemon.core.begun_anew import begun_anew
from watchkeeper.daemon.storage.blocks import Packed
from watchkeeper.daemon.transport.ports import Headers, Partition, Record
from watchkeeper.detectors.blocks import Block
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import Finding, LabelFrame, PredictionFrame, Scalar
from watchkeeper.handlers.types import Action, Incident

State = dict[str, Any]
CapturedFrame = PredictionFrame | LabelFrame
KeptKind = Literal["join", "whole"]
Channel = Literal["kafka", "dlq", "sentry", "webhook"]
RunStep = Literal["run", "undo"]
VersionStatus = Literal["candidate", "live", "retired", "faulty", "rejected"]
VersionKey = tuple[str, str]  # model, version
JobState = Literal["waiting", "running", "succeeded", "failed", "cancelled", "lost"]


class Fenced(Exception):
    """Somebody else owns this by now; stop working on it and drop what is not committed."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that was refused: why, where in it (`path`), and its bytes as they came."""

    topic: str
    partition: int
    offset: int
    reason: str
    path: str
    message: str
    at: float
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    id: int = 0
    replayed_at: float | None = None

    @classmethod
    def of(cls, record: Record, reason: str, path: str, message: str, at: float) -> DeadLetter:
        """A refused record; `at` is when it was refused."""
        return cls(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
            path=path,
            message=message,
            at=at,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )


class OutboxRow(msgspec.Struct, frozen=True):
    """One message that somebody must be told, kept until it is told.

    `id` is the idempotency key. On one channel and topic, rows of one key keep their order, and
    so do those of one incident that have no key; dead letters (channel `dlq`) need none. A row
    is never told from `expires_at` on, and waits for no other that may be told at any time.
    `attempts`, `collapsed` and `damaged` are filled by the outbox: how often it was tried before,
    how many older messages of its topic and incident it stands for, and why it cannot be told.
    """

    id: str
    channel: Channel
    payload: bytes | None
    created_at: float
    topic: str = ""
    key: bytes | None = None
    headers: Headers = ()
    incident_id: str | None = None
    expires_at: float | None = None
    seq: int = 0
    attempts: int = 0
    collapsed: int = 0
    damaged: str = ""


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what to what."""

    at: float
    actor: str
    verb: str
    target: str
    detail: str = ""


class Run(msgspec.Struct, frozen=True):
    """One step of an action that somebody began; the newest attempt."""

    action: Action
    step: RunStep
    holder: str
    token: int
    started_at: float


class Job(msgspec.Struct, frozen=True):
    """A child process that outlives the daemon. `pid_started` tells a reused pid from ours."""

    id: str
    model: str
    action_id: str
    kind: str
    state: JobState
    directory: str
    started_at: float
    token: int = 0
    pid: int | None = None
    pid_started: float | None = None
    ended_at: float | None = None
    result: dict[str, Scalar] = {}


class ModelVersion(msgspec.Struct, frozen=True):
    """One version in the daemon's own registry. `dataset` is the digest of what it learned from."""

    model: str
    version: str
    status: VersionStatus
    created_at: float
    digest: str = ""
    uri: str = ""
    parent: str | None = None
    dataset: str = ""
    metrics: dict[str, float] = {}
    by: str = ""


class Deployment(msgspec.Struct, frozen=True):
    """A version was live from `from_at` to `to_at` (None: it still is).

    `key` names the action or the change it came about by, so that it counts once.
    """

    model: str
    version: str
    from_at: float
    to_at: float | None
    by: str = ""
    reason: str = ""
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Events of models whose home is one partition number: `whole`, or only what a label join
    needs of them, ready to be written or not."""

    partition: int
    kind: KeptKind
    rows: Block | Packed

    @property
    def block(self) -> Block:
        """The events."""
        return self.rows.block if isinstance(self.rows, Packed) else self.rows


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that becomes true together: one transaction.

    `epochs` are those that `Store.restore` gave for the partitions; each offset's partition must
    be among them, and `topics` tells those of its topic apart from others that had its name, where
    that is known. `states` holds the changed ones only, as (partition number, state) by model;
    `lasting` and `references` the parts of theirs that change less often, where these did: they
    stay until they are given anew, and come back with the state. Either is plain data, or that in
    one piece.
    `kept` may be gone through several times, by whichever thread writes the checkpoint.
    `answers` marks commands of the inbox as taken. `deployments` are those that changes told of,
    `faulty` the versions that an incident was healed by leaving. `at` is the wall clock.
    """

    at: float
    epochs: Mapping[Partition, int]
    offsets: Mapping[Partition, int] = field(default_factory=dict)
    topics: Mapping[Partition, str | None] = field(default_factory=dict)
    states: Mapping[str, tuple[int, State | msgspec.Raw]] = field(default_factory=dict)
    lasting: Mapping[str, State | msgspec.Raw] = field(default_factory=dict)
    references: Mapping[str, State | msgspec.Raw] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    incidents: Sequence[Incident] = ()
    actions: Sequence[Action] = ()
    profiles: Sequence[Profile] = ()
    kept: Iterable[Kept] = ()
    dead_letters: Sequence[DeadLetter] = ()
    outbox: Sequence[OutboxRow] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    audit: Sequence[AuditEntry] = ()
    deployments: Sequence[Deployment] = ()
    faulty: Sequence[VersionKey] = ()


class SetAside(msgspec.Struct, frozen=True):
    """A stored state that could not be read and was put away. `part` is what of the record that
    was, "" for the state itself."""

    model: str
    reason: str
    at: float
    part: str = ""

    @property
    def finding(self) -> Finding:
        """What is on record of it."""
        return begun_anew(self.model, self.part, self.reason, self.at)


class Damaged(msgspec.Struct, frozen=True):
    """Rows of kept events that could not be read: how many events they have of each model."""

    rows: Sequence[int]
    counts: Mapping[str, int]
    reason: str
    at: float

    @property
    def finding(self) -> Finding | None:
        """What is on record of it, told of the model that has most of them; None where not even
        the models can be read."""
        if not self.counts:
            return None
        most = min(self.counts, key=lambda each: (-self.counts[each], each))
        lost = f"{sum(self.counts.values())} events of {len(self.counts)} models"
        return begun_anew(most, "kept events", f"{lost}: {self.reason}", self.at)


@dataclass(frozen=True, slots=True)
class Joins:
    """What label joins need of the events before, in order of arrival, and what of it could not be
    read."""

    blocks: Sequence[Block]
    damaged: Damaged | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What was true at the last checkpoint of these partitions, now owned by the caller.

    `offsets` holds the next offset of each partition, None where nothing was committed yet, and
    `topics` of which topic that is, where it was known;
    `homes` the partition number that each model's state belongs to. `set_aside` are states, and
    rows of the record, that could not be read now, `lost` all models whose state was put away, now
    or before, and not replaced since.
    `actions` are those of the open incidents and the newest others of the same models.
    """

    epochs: Mapping[Partition, int]
    offsets: Mapping[Partition, int | None]
    topics: Mapping[Partition, str]
    states: Mapping[str, State]
    homes: Mapping[str, int]
    set_aside: Sequence[SetAside]
    lost: Sequence[str]
    profiles: Sequence[Profile]
    incidents: Sequence[Incident]
    actions: Sequence[Action]


class Totals(msgspec.Struct, frozen=True):
    """How full the database is, for `status`."""

    models: int
    incidents_open: int
    actions_held: int
    outbox_pending: int
    outbox_blocked: int
    outbox_oldest_at: float | None
    dead_letters: int
    commands_waiting: int
    states_set_aside: int
