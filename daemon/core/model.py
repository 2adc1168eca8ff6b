"""What is remembered of one model."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from watchkeeper.daemon.core.arrays import Arrays
from watchkeeper.daemon.core.clocks import NOT_BEGUN
from watchkeeper.daemon.core.heard import Heard
from watchkeeper.daemon.core.profiles import Profiles, unpacked
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.estimation.estimates import Estimates
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.templates.watch import LogWatch
from watchkeeper.detectors.types import (
    Change,
    Detector,
    Finding,
    Partial,
    PredictionFrame,
    Series,
)
from watchkeeper.detectors.windows import Watermark
from watchkeeper.handlers.types import Action, Incident, VersionRecord

RECENT_LIMIT = 200

PartialKey = tuple[str, str]  # version, signal


class Health(msgspec.Struct):
    """How one harmful (signal, target, detector) of an open incident has fared lately.

    `quiet` counts judged windows in a row without its finding, `bad` those with one, both since
    the incident opened or its last action ended; `unjudged` windows in a row without a verdict.
    `level` is the newest value found, `before` that at the last action; `up`: larger is worse.
    """

    signal: str
    target: str
    detector: str
    quiet: int = 0
    bad: int = 0
    unjudged: int = 0
    level: float = float("nan")
    before: float = float("nan")
    up: bool = True


class Renewal(msgspec.Struct):
    """A version's reference is learned anew, for a person accepted its `incident` ("": none) or
    asked for it: who ("": nobody, it was deployed and healthy) and when.

    `accepted` are the harms (signal, target, detector) that are none while this lasts. `candidate`
    is what was learned, until all its windows are closed. `heirs` are versions that were met
    meanwhile, with the old reference.
    """

    version: str
    incident: str
    by: str
    at: float
    accepted: list[tuple[str, str, str]] = []
    candidate: Profile | None = None
    heirs: list[str] = []


class Share(msgspec.Struct):
    """What one partition holds of a spread model: of which, how many messages told of it so far,
    how far event time had come with the last one, and when it was told how long labels take, and
    its first window once that is closed."""

    of: str
    number: int
    sent: int = 0
    told: float = float("-inf")
    begins: int | None = None
    waited: float = float("-inf")


class Told(msgspec.Struct):
    """How much of a partition's share is merged: up to which message, by whom it was sent, how far
    event time has come there, the tick before it was last heard of, and how long labels take there,
    as `Delays.dump` gives it ("": not known)."""

    end: int = 0
    epoch: int = 0
    mark: float = float("-inf")
    heard: float = float("-inf")
    waits: bytes = b""


@dataclass(slots=True)
class Judge:
    """One detector at its post: the watch it stands, its series, and when it last judged."""

    watch: Watch
    detector: Detector


@dataclass(slots=True)
class ModelState:
    """Everything remembered of one model but for what lies in the arrays of all models.

    `row` is its row in those. Windows before number `next_window` are closed. `partials` are the
    parts of open windows, and `judges` the detectors, that are kept as objects. `learning` gathers
    the rows a version's reference is learned from; it is rebuilt from kept events, and so are the
    joins: only how many rows there were is stored (`to_learn`, until they are there again).
    `metrics` are the names of metrics that are told apart, `heard` is what is known of who tells
    labels; `asked` says which group of clients made the last requests, by their keys.
    `renewals` are the versions whose references are learned anew, `former` the references that
    windows from before a new one are still measured against; `accepted` names the incident that a
    person took for the new normal.
    `share` is set for one partition's share of a spread model, `links` for the whole of one.
    `lasts` says that what only closed windows and references change is as it was stored, `refers`
    that the references are, and `layouts` names those with which they were stored.
    """

    model: str
    row: int
    arrays: Arrays
    empty_run: int = 0
    partials: dict[int, dict[PartialKey, Partial]] = field(default_factory=dict)
    profiles: Profiles = field(default_factory=Profiles)
    learning: dict[str, list[PredictionFrame]] = field(default_factory=dict)
    to_learn: dict[str, int] = field(default_factory=dict)
    renewals: dict[str, Renewal] = field(default_factory=dict)
    former: Profiles = field(default_factory=Profiles)
    accepted: str = ""
    judges: dict[Series, list[Judge]] = field(default_factory=dict)
    versions: dict[str, VersionRecord] = field(default_factory=dict)
    live_version: str = ""
    labelled: bool = False
    metrics: frozenset[tuple[str, str | None]] = frozenset()
    heard: Heard | None = None
    asked: dict[int, int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    recent: list[Finding] = field(default_factory=list)
    incident: Incident | None = None
    health: list[Health] = field(default_factory=list)
    verify_since: float | None = None
    verified_windows: int = 0
    absent: int = 0
    planned_for: str = ""
    actions: dict[str, Action] = field(default_factory=dict)
    paused: bool = False
    share: Share | None = None
    statements: LogWatch | None = None
    estimates: Estimates | None = None
    links: dict[int, Told] = field(default_factory=dict)
    lasts: bool = False
    refers: bool = False
    layouts: tuple[bytes, ...] = ()

    @property
    def mark(self) -> Watermark:
        """How far event time has come."""
        return self.arrays.clocks.mark(self.row)

    @property
    def live_stream(self) -> bool:
        """Whether events are of the ticks' time."""
        clocks = self.arrays.clocks.arrays
        if self.links:
            near = abs(self.mark.newest - self.last_tick) <= clocks["skew"][self.row]
            return bool(near)
        return bool(clocks["live"][self.row])

    @property
    def last_tick(self) -> float:
        """The time of the last tick, seconds since the epoch."""
        return float(self.arrays.clocks.arrays["last_tick"][self.row])

    @property
    def next_window(self) -> int | None:
        """The number of the first window that is not closed; None before the first event."""
        number = int(self.arrays.clocks.arrays["next_window"][self.row])
        return None if number == NOT_BEGUN else number

    @next_window.setter
    def next_window(self, number: int | None) -> None:
        begun = NOT_BEGUN if number is None else number
        self.arrays.clocks.arrays["next_window"][self.row] = begun

    def reference(self, version: str, start: float) -> Profile | None:
        """The reference for a version's window: a learned one holds only for windows that begin
        after it was complete, so that no window's measure hangs on how events were batched."""
        for profile in (self.profiles.get(version), self.former.get(version)):
            if profile is not None and not (profile.source == "learned" and start <= profile.until):
                return profile
        return None

    def refer(self, profile: Profile, version: str) -> None:
        """From now on a version is measured against this reference."""
        self.renewals.pop(version, None)
        self.former.pop(version, None)
        self.profiles[version] = profile
        self._measure(profile, version)

    def renew(self, profile: Profile, version: str) -> None:
        """As `refer`, of a learned reference in place of another: that stays in force for windows
        from before."""
        old = self.profiles[version]
        self.refer(profile, version)
        self.former[version] = old

    def let_former_go(self, version: str) -> None:
        """No window is measured against a version's former reference any more."""
        self.lasts = self.refers = False
        del self.former[version]
        self.arrays.ledger.forget_former(self.arrays.ledger.rows[Member(self.model, version)])

    def take_up(self, version: str, packed: bytes) -> None:
        """As `refer`, of a reference as it was packed."""
        self.profiles.take(version, packed)
        self._measure(unpacked(packed), version)

    def take_up_former(self, version: str, packed: bytes) -> None:
        """What windows that have begun are measured against, though another reference is new."""
        self.former.take(version, packed)
        self._measure(unpacked(packed), version)

    def _measure(self, profile: Profile, version: str) -> None:
        ledger, self.lasts, self.refers = self.arrays.ledger, False, False
        self.learning.pop(version, None)
        member = ledger.member(self.row, Member(self.model, version))
        after = profile.until if profile.source == "learned" else float("-inf")
        ledger.refer(member, profile, after)
        ledger.remeasure(member, float(self.arrays.clocks.arrays["width"][self.row]))

    def settle(self) -> None:
        """Brings the records of versions up to what was counted in the arrays."""
        ledger = self.arrays.ledger
        for version, record in self.versions.items():
            row = ledger.rows.get(Member(self.model, version))
            taken = None if row is None else ledger.take_counts(row)
            if taken is not None:
                n, last = taken
                last = max(record.last_seen, last)
                self.versions[version] = replace(
                    record, predictions=record.predictions + n, last_seen=last
                )

    def older(self, version: str) -> list[str]:
        """The other versions that are on record, the one first that a new version takes over
        from: the live one, then the newest."""
        others = [v for v in self.versions if v != version]
        if others:
            self.settle()
        live, records = self.live_version, self.versions
        return sorted(others, key=lambda v: (v == live, records[v].last_seen), reverse=True)

    def dismiss(self, series: Series) -> list[str]:
        """Lets the judges of a series go; gives the names of their detectors."""
        return [judge.watch.detector for judge in self.judges.pop(series, ())]

    def taught(self) -> set[str]:
        """The versions that anything is left of to be let go of."""
        found = {*self.profiles, *self.learning, *self.renewals, *self.former}
        found.update(self.arrays.seated(self.row), (series.version for series in self.judges))
        if self.estimates is not None:
            found |= self.estimates.names()
        return found

    def forget(self, version: str) -> None:
        """Lets go of what a version taught."""
        self.lasts = self.refers = False
        self.profiles.pop(version, None)
        self.learning.pop(version, None)
        if self.estimates is not None:
            self.estimates.forget(version)
        self.renewals.pop(version, None)
        self.former.pop(version, None)
        self.arrays.forget(Member(self.model, version))
        for series in [s for s in self.judges if s.version == version]:
            del self.judges[series]
