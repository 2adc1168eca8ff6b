"""All that the core remembers, one `ModelState` a model, and its form as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from watchkeeper.daemon.core.join import Join
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import (
    Change,
    Detector,
    Finding,
    LabelFrame,
    Partial,
    PredictionFrame,
    Series,
    Severity,
    StateError,
)
from watchkeeper.detectors.windows import Watermark, first_open
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Incident,
    IncidentState,
    VersionRecord,
)

LAYOUT = 2
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


@dataclass(slots=True)
class Judge:
    """One detector at its post: the watch it stands, its series, and when it last judged."""

    watch: Watch
    detector: Detector


@dataclass(slots=True)
class ModelState:
    """Everything remembered of one model.

    `mark` is how far event time has come; windows before index `next_window` are closed.
    `behind_s` is how far a live stream lags behind the ticks.
    `learning` gathers the rows a version's reference is learned from; it is rebuilt from the
    captured frames, so it is not part of the stored state, and neither is `join`.
    """

    model: str
    join: Join
    mark: Watermark = field(default_factory=Watermark)
    behind_s: float = 0.0
    last_tick: float = float("-inf")
    live_stream: bool = False
    next_window: int | None = None
    empty_run: int = 0
    partials: dict[int, dict[PartialKey, Partial]] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    learning: dict[str, list[PredictionFrame]] = field(default_factory=dict)
    judges: dict[Series, list[Judge]] = field(default_factory=dict)
    versions: dict[str, VersionRecord] = field(default_factory=dict)
    live_version: str = ""
    labelled: bool = False
    metrics: set[tuple[str, str | None]] = field(default_factory=set)
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

    def reference(self, version: str, start: float) -> Profile | None:
        """The reference for a version's window: a learned one holds only for windows that begin
        after it was complete, so that no window's measure hangs on how events were batched."""
        profile = self.profiles.get(version)
        if profile is None or (profile.source == "learned" and start <= profile.until):
            return None
        return profile


class State:
    """The core's memory of every model it has met."""

    def __init__(self, policy: Callable[[str], ModelPolicy]) -> None:
        self._policy = policy
        self._policies: dict[str, ModelPolicy] = {}
        self.models: dict[str, ModelState] = {}

    def policy(self, name: str) -> ModelPolicy:
        """What the user decided about a model."""
        if name not in self._policies:
            self._policies[name] = self._policy(name)
        return self._policies[name]

    def model(self, name: str) -> ModelState:
        """The state of a model; an empty one when it is met for the first time."""
        state = self.models.get(name)
        if state is None:
            policy = self.policy(name)
            state = ModelState(name, Join(policy.join_capacity, policy.join_horizon_s))
            self.models[name] = state
        return state

    def dump(self, name: str) -> dict[str, Any]:
        """One model's state as plain data (`load` takes it back)."""
        return _dump(self.models[name], self.policy(name).window_s)

    def load(self, name: str, plain: dict[str, Any]) -> None:
        """Takes up a dumped state. Raises `StateError` where it has another layout."""
        state = self.model(name)
        try:
            _load(state, plain, self.policy(name))
        except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
            del self.models[name]
            raise StateError(f"stored state of model {name}: {error}") from error

    def recapture(self, frames: Iterable[PredictionFrame | LabelFrame]) -> None:
        """Rebuilds joins and unfinished references from the kept frames, oldest first."""
        for frame in frames:
            state = self.model(frame.model)
            if isinstance(frame, LabelFrame):
                state.join.labels(frame)
                continue
            state.join.predictions(frame)
            if frame.version not in state.profiles:
                state.learning.setdefault(frame.version, []).append(frame)

    def forget(self, names: Iterable[str]) -> None:
        """Drops models whose partition now belongs to another instance."""
        for name in names:
            self.models.pop(name, None)

    def seed(self, name: str, incidents: Iterable[Incident], actions: Iterable[Action]) -> None:
        """Begins a model whose stored state was lost with what is on record of it.

        Its open incident goes on, and stays with a person if an action on it did not succeed; its
        actions count for the limits, and those that wait can be decided; versions that were left
        stay faulty.
        """
        state = self.model(name)
        state.actions = {each.id: each for each in actions if each.model == name}
        for action in state.actions.values():
            left = action.args.get("from_version")
            if action.state in _SWITCHED and "to_version" in action.args and isinstance(left, str):
                at = action.planned_at
                state.versions[left] = VersionRecord(left, at, at, faulty=True)
        for incident in incidents:
            if incident.model == name and incident.open:
                _reopened(state, incident)


# What an action is once it has made another version live, for good or not.
_SWITCHED = (ActionState.SUCCESSFUL, ActionState.UNDOING, ActionState.UNDONE)
_UNSUCCESSFUL = (
    ActionState.FAILED,
    ActionState.ERROR,
    ActionState.INCONCLUSIVE,
    ActionState.UNDONE,
)


def _reopened(state: ModelState, incident: Incident) -> None:
    """Goes on with an incident whose counts were lost: they begin afresh."""
    state.incident = incident
    harm = [f for f in incident.findings if f.severity is not Severity.INFO]
    keys = dict.fromkeys((f.series.signal, f.series.target, f.detector) for f in harm)
    state.health = [Health(*key) for key in keys]
    if incident.state is IncidentState.VERIFYING:
        state.verify_since = incident.updated_at
    done = [state.actions[each].state for each in incident.actions if each in state.actions]
    if any(each in _UNSUCCESSFUL for each in done):
        state.planned_for = "person"


def _dump(state: ModelState, window_s: float) -> dict[str, Any]:
    return {
        "layout": LAYOUT,
        "window_s": window_s,
        "partials": [
            [index, version, signal, {name: _packed(a) for name, a in partial.items()}]
            for index, by_key in state.partials.items()
            for (version, signal), partial in by_key.items()
        ],
        "judges": [
            [
                msgspec.to_builtins(series),
                [[msgspec.to_builtins(j.watch), j.detector.state()] for j in judges],
            ]
            for series, judges in state.judges.items()
        ],
        "metrics": sorted(state.metrics, key=str),
        **{name: getattr(state, name) for name in _PLAIN},
        **{name: msgspec.to_builtins(getattr(state, name)) for name in _STRUCTS},
    }


_STRUCTS: dict[str, Any] = {
    "mark": Watermark,
    "profiles": dict[str, Profile],
    "versions": dict[str, VersionRecord],
    "changes": list[Change],
    "recent": list[Finding],
    "incident": Incident | None,
    "health": list[Health],
    "actions": dict[str, Action],
}
_PLAIN = (
    "behind_s",
    "absent",
    "last_tick",
    "live_stream",
    "next_window",
    "empty_run",
    "live_version",
    "labelled",
    "verify_since",
    "verified_windows",
    "planned_for",
    "paused",
)


def _load(state: ModelState, plain: dict[str, Any], policy: ModelPolicy) -> None:
    if plain.get("layout") != LAYOUT:
        raise ValueError(f"layout {plain.get('layout')!r}, this version reads {LAYOUT}")
    for name in _PLAIN:
        setattr(state, name, plain[name])
    for name, kind in _STRUCTS.items():
        setattr(state, name, msgspec.convert(plain[name], kind))
    state.metrics = {(name, host) for name, host in plain["metrics"]}
    if plain["window_s"] != policy.window_s:
        # What windows of another width held and taught is no measure for these: learn anew.
        newest = state.mark.newest
        known = newest > float("-inf")
        state.next_window = (
            first_open(newest, policy.lateness_s, policy.window_s) if known else None
        )
        return
    for index, version, signal, arrays in plain["partials"]:
        partial = Partial({name: _unpacked(a) for name, a in arrays.items()})
        state.partials.setdefault(index, {})[version, signal] = partial
    for stored, judges in plain["judges"]:
        series = msgspec.convert(stored, Series)
        state.judges[series] = _judges(policy.watches_of(series), judges)


def _judges(watches: Sequence[Watch], stored: list[list[Any]]) -> list[Judge]:
    """The detectors that the policy wants by now, with what those of the same watch had learned;
    one whose state is not understood starts anew."""
    known = [(msgspec.convert(watch, Watch), plain) for watch, plain in stored]
    judges = []
    for watch in watches:
        detector = make(watch.detector, watch.settings, watch.severity)
        for old, plain in known:
            if old == watch:
                try:
                    detector.restore(plain)
                except StateError:
                    detector = make(watch.detector, watch.settings, watch.severity)
        judges.append(Judge(watch, detector))
    return judges


def _packed(array: np.ndarray[Any, np.dtype[np.int64]]) -> list[Any]:
    return [list(array.shape), array.astype("<i8").tobytes()]


def _unpacked(packed: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    shape, data = packed
    return np.frombuffer(data, dtype="<i8").astype(np.int64).reshape(shape)
