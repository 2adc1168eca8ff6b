"""All that the core remembers: one `ModelState` a model, and the arrays of all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from watchkeeper.daemon.core import restored, stored
from watchkeeper.daemon.core.arrays import Arrays
from watchkeeper.daemon.core.counting import Counting
from watchkeeper.daemon.core.fairness import MOST_BYTES
from watchkeeper.daemon.core.model import Health, ModelState, Share
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.blocks import Block, LabelBlock, PredictionBlock, models_of
from watchkeeper.detectors.roster import Remembered
from watchkeeper.detectors.types import (
    IntArray,
    LabelFrame,
    ObjectArray,
    PredictionFrame,
    Severity,
    StateError,
)
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Incident,
    IncidentState,
    VersionRecord,
)

Plain = dict[str, dict[str, Any]]


class Dumped(NamedTuple):
    """Of each model by name: what events change, what closed windows change, and references."""

    changed: Plain
    lasting: Plain
    references: Plain


class Shown(NamedTuple):
    """What was seen of a model's versions: the live one, and all of them, oldest first."""

    live: str
    versions: list[str]


DIFFERENT = 32  # policies of which models share one object
SHARE = "\x1f"  # stands in a share's name between its model's and the partition's number


def share_of(model: str, number: int) -> str:
    """The name under which a partition's share of a spread model is kept."""
    return f"{model}{SHARE}{number}"


def whole(name: str) -> str:
    """The model that a share is of; every other model is whole itself."""
    return name.partition(SHARE)[0]


class State:
    """The core's memory of every model it has met.

    `names` are those of the models, by row; in one array a row's name never becomes another, so
    what is kept of rows can be named later. `shares` and `spread` name those that are a partition's
    share, and the whole of shares; `renewing` those of which a reference is learned anew, or may
    be soon. `left` is what was seen of models that were forgotten only to be taken up again, or
    given away, until it is known which: actions that are under way ask for it.
    """

    def __init__(self, policy: Callable[[str], ModelPolicy], join_bytes: int = MOST_BYTES) -> None:
        self._policy, self._join_bytes = policy, join_bytes
        self._policies: dict[str, ModelPolicy] = {}
        self._different: list[ModelPolicy] = []
        self.models: dict[str, ModelState] = {}
        self.by_row: dict[int, ModelState] = {}
        self._row_of: Remembered[str] = Remembered()
        self.names: ObjectArray = np.full(1, None, dtype=np.object_)
        self.counting = Counting()
        self.arrays = Arrays(join_bytes)
        self.shares: set[str] = set()
        self.spread: set[str] = set()
        self.renewing: set[str] = set()
        self.left: dict[str, Shown] = {}

    def shown(self, name: str) -> Shown | None:
        """What was last seen of a model's versions; None where nothing is known of it. From any
        thread."""
        left = self.left.get(name)  # first: one that is being taken up shows nothing as yet
        model = self.models.get(name)
        return left if left is not None or model is None else _shown(model)

    def leave(self, names: Iterable[str]) -> None:
        """Forgets models, but for what was seen of their versions while `left` is kept."""
        names = list(names)
        self.left.update((n, _shown(self.models[n])) for n in names if n in self.models)
        self.forget(names)

    def renew(self) -> None:
        """Begins with empty arrays. Raises ValueError while models are held in those of before."""
        if self.models:
            raise ValueError(f"{len(self.models)} models are held still")
        self.arrays = Arrays(self._join_bytes)
        self.names = np.full(1, None, dtype=np.object_)
        self._row_of.forget()

    def policy(self, name: str) -> ModelPolicy:
        """What the user decided about a model."""
        known = self._policies.get(name)
        if known is None:
            known = self._policies[name] = self._shared(self._policy(whole(name)))
        return known

    def _shared(self, policy: ModelPolicy) -> ModelPolicy:
        """The policy, as the one object of all models about which the same was decided."""
        for known in self._different:
            if known == policy:
                return known
        if len(self._different) < DIFFERENT:
            self._different.append(policy)
        return policy

    def model(self, name: str) -> ModelState:
        """The state of a model; an empty one when it is met for the first time."""
        state = self.models.get(name)
        if state is None:
            policy = self.policy(name)
            row = self.arrays.clocks.begin(name, policy)
            self.arrays.joins.bound(row, policy.join_capacity, policy.join_horizon_s)
            state = self.models[name] = self.by_row[row] = ModelState(name, row, self.arrays)
            if row >= len(self.names):
                more = np.full(len(self.names), None, dtype=np.object_)
                self.names = np.concatenate([self.names, more])
            self.names[row] = name
            if SHARE in name:
                state.share = Share(whole(name), int(name.partition(SHARE)[2]))
                self.shares.add(name)
        return state

    def reach(self, name: str) -> int:
        """How many of a model's events back its label join may need: where it keeps a sample, as
        many as that was taken from, twice since the sample may just have grown. From any thread."""
        state, room, share = self.models.get(name), self.policy(name).join_capacity, 1.0
        if state is not None:
            joins = state.arrays.joins
            room, share = min(room, joins.reach(state.row)), joins.share(state.row)
        return round(2 * room / share)

    def rows_of(self, names: Sequence[str]) -> IntArray:
        """The models' rows; -1 for those that are not known."""
        return self._row_of.of(names, self._row)

    def _row(self, name: str) -> int:
        known = self.models.get(name)
        return -1 if known is None else known.row

    def dump(self, name: str) -> dict[str, Any]:
        """One model's state as plain data (`load` takes it back)."""
        state = self.models[name]
        state.settle()
        (changed,) = stored.dump([state], [self.policy(name).window_s])
        (lasting,) = stored.lasting([state])
        return changed | lasting | stored.references(state)

    def dump_changed(self, names: Sequence[str]) -> Dumped:
        """The states of several models, each in its parts: those that are not as they were dumped
        the last time."""
        states = [self.models[name] for name in names]
        for state in states:
            state.settle()
        widths = [self.policy(name).window_s for name in names]
        others = [state for state in states if not state.lasts]
        lasting = {s.model: plain for s, plain in zip(others, stored.lasting(others), strict=True)}
        references = {s.model: stored.references(s) for s in others if not s.refers}
        for state in others:
            state.lasts = state.refers = True
        changed = dict(zip(names, stored.dump(states, widths), strict=True))
        return Dumped(changed, lasting, references)

    def load(self, name: str, plain: dict[str, Any]) -> list[str]:
        """Takes up a dumped state; says which detectors begin anew, for theirs has another layout.
        Raises `StateError` where the whole has."""
        state = self.model(name)
        try:
            refused = restored.load(state, plain, self.policy(name))
        except restored.ODD as error:
            self.forget([name])
            raise StateError(f"stored state of model {name}: {error}") from error
        if self.models[name].links:
            self.spread.add(name)
        if (state.renewals or state.changes) and state.share is None:
            self.renewing.add(name)  # those that do not are told when their next window closes
        return refused

    def rejoin(self, kept: Iterable[Block], names: Collection[str]) -> None:
        """Rebuilds the label joins of these models from kept events, in order of arrival."""
        for each in kept:
            models, place = models_of(each)
            mine = np.array([model in names for model in models], dtype=np.bool_)[place]
            if not mine.any():
                continue
            block = each if mine.all() else each.take(mine)
            if isinstance(block, LabelBlock):
                self.arrays.labelled(self._rows(block), block, again=True)
            else:
                rows, members = self._rows(block), self._members(block)
                keys = self.arrays.keys(rows, block)
                self.arrays.predicted(rows, members, keys, block, None, again=True)

    def relearn(self, name: str, frames: Iterable[PredictionFrame | LabelFrame]) -> None:
        """Gathers again what unfinished references of a model are learned from."""
        model = self.models[name]
        for frame in frames:
            if isinstance(frame, PredictionFrame) and frame.version in model.to_learn:
                model.learning.setdefault(frame.version, []).append(frame)
        for version, n in model.to_learn.items():
            gathered = model.learning.get(version, [])
            more = sum(map(len, gathered)) - n
            while gathered and more > 0:  # older ones, of an earlier reference
                first = gathered.pop(0)
                if more < len(first):
                    gathered.insert(0, first.take(slice(more, None)))
                more -= len(first)
        model.to_learn.clear()

    def _rows(self, block: Block) -> IntArray:
        models, place = models_of(block)
        rows = {codes: self.model(models[codes]).row for codes in np.unique(place).tolist()}
        return np.array([rows.get(code, -1) for code in range(len(models))], dtype=np.int64)[place]

    def _members(self, block: PredictionBlock) -> IntArray:
        rows = np.full(len(block.members), -1, dtype=np.int64)
        for code in np.unique(block.member).tolist():
            member = block.members[code]
            rows[code] = self.arrays.ledger.member(self.models[member.model].row, member)
        return rows[block.member]

    def forget(self, names: Iterable[str]) -> None:
        """Drops models whose partition now belongs to another instance."""
        rows: dict[str, int] = {}
        self.names = self.names.copy()
        for name in names:
            self._policies.pop(name, None)
            state = self.models.pop(name, None)
            if state is not None:
                del self.by_row[state.row]
                self.names[state.row] = None
                self.shares.discard(name)
                self.spread.discard(name)
                self.renewing.discard(name)
                rows[name] = state.row
        if rows:
            self._row_of.forget()
            self.arrays.drop(rows)

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


def _shown(model: ModelState) -> Shown:
    records = sorted(list(model.versions.values()), key=lambda r: r.first_seen)
    return Shown(model.live_version, [r.version for r in records])


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
