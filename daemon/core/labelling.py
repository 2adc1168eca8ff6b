"""Counts labels by who told them, for the models whose labels name a source: these are few."""

from __future__ import annotations

import numpy as np

from watchkeeper.daemon.core.joined import Joined
from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.sources import OTHERS
from watchkeeper.daemon.core.state import State
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.signals.labels import ALL, SOURCES, Labels, Pairs, key_of
from watchkeeper.detectors.types import IntArray, Partial

_LABELS = Labels()


def count_sources(state: State, joined: Joined, members: IntArray, window: IntArray) -> None:
    """Counts what each source says of the answers into the windows of their versions."""
    if joined.source is None:
        return
    named = np.flatnonzero(~np.isnan(joined.source))
    for row in np.unique(members[named]).tolist():
        mine = named[members[named] == row]
        for index in np.unique(window[mine]).tolist():
            rows = window[mine] == index
            _count(state, joined.take(mine[rows]), row, index)


def _count(state: State, joined: Joined, row: int, index: int) -> None:
    """Counts rows of one window of one version."""
    if joined.source is None:
        return
    member = state.arrays.ledger.names[row]
    model, width = state.models[member.model], state.policy(member.model).window_s
    profile = model.reference(member.version, index * width)
    positive = key_of(None if profile is None else profile.positive)
    different, code = np.unique(joined.source, return_inverse=True)
    names = [_told_apart(model, state.arrays.sources.name(int(n))) for n in different.tolist()]
    known = list(dict.fromkeys(names))
    place = np.array([known.index(name) for name in names], dtype=np.int64)[code]
    said = (joined.predicted_label, joined.label, positive, joined.score)
    pairs = Pairs(*said, joined.predicted_value, joined.value)
    part = _LABELS.by_source(known, place, pairs)
    into = model.partials.setdefault(index, {})
    into.setdefault((member.version, _LABELS.name), Partial()).merge(part)


def _told_apart(model: ModelState, name: str) -> str:
    """The name, or that of all others where there are too many."""
    if name not in model.sources:
        if len(model.sources) >= SOURCES - 1:
            return OTHERS
        model.sources.add(name)
    return name


def add_totals(state: State, model: ModelState, index: int, slots: list[int]) -> None:
    """Tells the windows of a model's versions, which are closed, how many labels came in all."""
    parts = model.partials.get(index)
    if not parts:
        return
    ledger = state.arrays.ledger
    for slot in slots:
        part = parts.get((ledger.names[ledger.open.slots[slot].member].version, _LABELS.name))
        if part is not None:
            head = ledger.open.counts(slot)["head"]
            n, correct = int(head[t.PAIRS]), int(head[t.CORRECT])
            part[ALL] = np.array([n, n - correct], dtype=np.int64)
