"""What one step of the core takes in and gives out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from watchkeeper.daemon.core.counting import Counted
from watchkeeper.daemon.core.model_set import ModelSet
from watchkeeper.detectors.arrays.sampling import Samples
from watchkeeper.detectors.banks import Columns
from watchkeeper.detectors.blocks import Block, Member
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import (
    AnyFrame,
    Change,
    Command,
    Finding,
    Sample,
    Series,
    Tick,
)
from watchkeeper.handlers.types import Action, Incident, Outcome

if TYPE_CHECKING:
    from watchkeeper.daemon.core.spread import Merge


@dataclass(frozen=True, slots=True)
class Batch:
    """One turn's input: frames of a micro-batch, and what came from people and the executor.

    `now` is the wall clock, by which commands expire; None where there is none.
    `blind_since` is set while the source is known to be behind: nothing is acted on then.
    `profiles` are references that people gave, to be taken up before anything else, and looked at
    only once: there may be too many to hold them all. `merges` are counts of models whose events
    lie in several partitions.
    """

    frames: Sequence[Block | AnyFrame] = ()
    commands: Sequence[Command] = ()
    outcomes: Sequence[Outcome] = ()
    tick: Tick | None = None
    blind_since: float | None = None
    now: float | None = None
    profiles: Iterable[Profile] = ()
    merges: Sequence[Merge] = ()


@dataclass(frozen=True, slots=True)
class Sampled:
    """The samples of some closed windows as columns; `members` are those of the rows."""

    members: Sequence[Member]
    columns: Sequence[Columns]

    def of(self, signal: str) -> Iterable[Columns]:
        """The columns of one signal."""
        if isinstance(self.columns, Samples):
            return self.columns.of(signal)
        return (each for each in self.columns if each.signal == signal)

    def samples(self, signal: str | None = None) -> Iterator[Sample]:
        """Each as an object; of one signal or of all."""
        for each in self.columns if signal is None else self.of(signal):
            for row, column in np.argwhere(each.given).tolist():
                yield each.sample(row, column, *self.members[row])


@dataclass(frozen=True, slots=True)
class Renewed:
    """A version's reference was learned anew: what incident and who asked for it, and what was
    done."""

    model: str
    version: str
    incident: str
    by: str
    text: str


@dataclass(slots=True)
class Step:
    """One turn's output, in the order in which it came about.

    `incidents` and `actions` hold every changed one once, in its newest form;
    `incident_changes` every new revision with the one before it, and `action_changes` every new
    state of an action, for those who are told of each. `captured` holds the predictions and
    labels to keep for label joins and retraining, `learning` the versions of which all are needed
    whole, since their reference is not complete; `samples` those closed in this step of series
    whose detectors are objects, `sampled` those of all others; `profiles` newly learned
    references, those `renewed` among them; `changes` those that applications told of; `dirty` the
    models whose state changed; `live` the versions that became the live ones of theirs;
    `answers` says what became of each command, by its id. `evidence` is ln M of a model's harm, ln
    A, which it must pass to be worth a page, and how many of its series are not calibrated.
    `estimates` holds by model, of each measure of the live version, what it is expected to be, NaN
    where that is not to be trusted, and the trust. `levels` says how odd a series of a live version
    is, by the series and its detector, of those detectors that say so all the time; `gone` are the
    series whose detectors were let go of, each with its detectors, before what `levels` says.
    """

    findings: list[Finding] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    incident_changes: list[tuple[Incident | None, Incident]] = field(default_factory=list)
    action_changes: list[Action] = field(default_factory=list)
    captured: list[Block] = field(default_factory=list)
    learning: set[Member] = field(default_factory=set)
    samples: list[Sample] = field(default_factory=list)
    sampled: list[Sampled] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    renewed: list[Renewed] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    dirty: ModelSet = field(default_factory=ModelSet)
    counts: Counted = field(default_factory=Counted.nothing)
    live: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    evidence: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    estimates: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    levels: dict[tuple[Series, str], float] = field(default_factory=dict)
    gone: list[tuple[Series, str]] = field(default_factory=list)

    def note(
        self,
        model: str,
        actions: Sequence[Action],
        before: Incident | None,
        after: Incident | None,
    ) -> None:
        """Records what changed of one model."""
        self.dirty.add(model)
        for action in actions:
            self.actions[action.id] = action
            self.action_changes.append(action)
        if after is None or after is before:
            return
        self.incidents[after.id] = after
        known = before if before is not None and before.id == after.id else None
        if known is None or known.revision != after.revision:
            self.incident_changes.append((known, after))

    def let_go(self, series: Series, detectors: Iterable[str]) -> None:
        """Records that nothing more is to be expected of a series."""
        for detector in detectors:
            self.levels.pop((series, detector), None)
            self.gone.append((series, detector))
