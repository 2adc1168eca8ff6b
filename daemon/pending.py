"""What the loop has done since the last checkpoint and has not made true yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from watchkeeper.daemon.core.model_set import ModelSet
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.kept import Keeping
from watchkeeper.daemon.storage import snapshots
from watchkeeper.daemon.storage.values import (
    AuditEntry,
    Checkpoint,
    DeadLetter,
    Deployment,
    OutboxRow,
    VersionKey,
)
from watchkeeper.daemon.transport.codec import DeadLetter as Refused
from watchkeeper.daemon.transport.codec.deadletter import shortened
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import Change, Finding
from watchkeeper.handlers.types import Action, ActionState, Incident, IncidentState

_AT_ONCE = 256  # models whose states are plain data at a time
_A_LETTER, _A_HEADER = 2_048, 128  # bytes beside those that a refused record carries
GOES_LIVE = ("deployment", "promotion", "rollback")  # the kinds of change that make a version live


class Packed(NamedTuple):
    """As `Dumped`, ready to be stored."""

    changed: dict[str, msgspec.Raw]
    lasting: dict[str, msgspec.Raw]
    references: dict[str, msgspec.Raw]


@dataclass(slots=True)
class Pending:
    """Gathers turns into one checkpoint."""

    events: int = 0
    refused_bytes: int = 0
    urgent: bool = False
    offsets: dict[Partition, int] = field(default_factory=dict)
    topics: dict[Partition, str | None] = field(default_factory=dict)
    dirty: ModelSet = field(default_factory=ModelSet)
    findings: list[Finding] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    profiles: list[Profile] = field(default_factory=list)
    keeping: Keeping = field(default_factory=Keeping)
    letters: list[DeadLetter] = field(default_factory=list)
    outbox: list[OutboxRow] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)

    def add_records(self, records: Records, topics: Mapping[Partition, str]) -> None:
        """Moves the offsets past the records, which are of these `topics`."""
        self.events += len(records)
        for place, offset in records.ends().items():
            self.offsets[place] = offset + 1
            self.topics[place] = topics.get(place)

    def add_refused(self, refused: Sequence[Refused], at: float) -> None:
        """Keeps refused records with their reasons; of very long ones a part."""
        letters = [_letter(each, at) for each in refused]
        self.letters += letters
        self.refused_bytes += sum(map(_size, letters))

    def add_step(self, step: Step) -> None:
        """Takes in what one step gave out; incidents and actions must not wait long."""
        self.dirty.update(step.dirty)
        self.findings += step.findings
        self.incidents.update(step.incidents)
        self.actions.update(step.actions)
        self.profiles += step.profiles
        self.deployments += [found for c in step.changes if (found := _deployment(c)) is not None]
        self.answers.update(step.answers)
        self.urgent |= bool(step.incident_changes or step.action_changes or step.answers)

    @property
    def empty(self) -> bool:
        """Nothing is waiting to be made true."""
        return not (self.offsets or self.dirty or self.answers or self.outbox or self.letters)

    def checkpoint(
        self,
        state: State,
        homes: Mapping[str, int],
        epochs: Mapping[Partition, int],
        at: float,
    ) -> Checkpoint:
        """All of it as one checkpoint. `homes` are the partition numbers of models."""
        models = sorted(each for each in self.dirty if each in homes and each in state.models)
        dumped = _packed(state, models)
        return Checkpoint(
            at=at,
            epochs=epochs,
            offsets=self.offsets,
            topics=self.topics,
            states={model: (homes[model], plain) for model, plain in dumped.changed.items()},
            lasting=dumped.lasting,
            references=dumped.references,
            findings=self.findings,
            incidents=list(self.incidents.values()),
            actions=list(self.actions.values()),
            profiles=self.profiles,
            kept=self.keeping.kept(state.reach),
            dead_letters=self.letters,
            outbox=self.outbox,
            answers=self.answers,
            audit=self.audit,
            deployments=self.deployments,
            faulty=[key for each in self.incidents.values() for key in _healed_of(each, state)],
        )


def _packed(state: State, models: Sequence[str]) -> Packed:
    """The states as bytes. As plain data they are dozens of small objects each, and those of a
    thousand models would leave holes in memory for good: so there are never many at once."""
    packed = Packed({}, {}, {})
    for first in range(0, len(models), _AT_ONCE):
        dumped = state.dump_changed(models[first : first + _AT_ONCE])
        for into, part in zip(packed, dumped, strict=True):
            into.update((model, snapshots.packed(plain)) for model, plain in part.items())
    return packed


def _deployment(change: Change) -> Deployment | None:
    """What went live by a change; None for one that is no deployment."""
    if change.kind not in GOES_LIVE or change.model_version is None:
        return None
    return Deployment(
        model=change.model_name,
        version=change.model_version,
        from_at=change.time.timestamp(),
        to_at=None,
        by=change.actor,
        reason=change.description or change.kind,
        key=f"change:{change.model_name}:{change.id}",
    )


def _healed_of(incident: Incident, state: State) -> list[VersionKey]:
    """The versions that a resolved incident was healed by leaving.

    Not those that were only blamed: an action that does not help is undone, and for that its
    version must still be one that may be made live.
    """
    known = state.models.get(incident.model)
    if incident.state is not IncidentState.RESOLVED or known is None:
        return []
    done = [known.actions[each] for each in incident.actions if each in known.actions]
    left = {a.args.get("from_version") for a in done if a.state is ActionState.SUCCESSFUL}
    blamed = [v.version for v in known.versions.values() if v.faulty and v.version in left]
    return [(incident.model, version) for version in blamed]


def _size(letter: DeadLetter) -> int:
    """About the bytes that a record takes, on record and as a message."""
    headers = sum(len(name) + len(value or b"") + _A_HEADER for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers + _A_LETTER


def _letter(refused: Refused, at: float) -> DeadLetter:
    record = shortened(refused.record)
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=refused.reason,
        path=refused.path,
        message=refused.message,
        at=at,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )
