"""The versions of a model: met, told apart, and forgotten."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from watchkeeper.daemon.core.clocks import NOT_BEGUN
from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.state import State, whole
from watchkeeper.daemon.core.step import Step
from watchkeeper.detectors.blocks import (
    Block,
    LabelBlock,
    Member,
    PredictionBlock,
    models_of,
    present,
)
from watchkeeper.detectors.types import AnyFrame, ChangeFrame, IntArray, PredictionFrame
from watchkeeper.detectors.windows import window_index
from watchkeeper.handlers.types import VersionRecord

VERSIONS_LIMIT = 50  # versions whose record is kept
OPEN_LIMIT = 20  # versions that are told apart in the open windows
CUTS_LIMIT = 64  # windows of one batch that are closed one by one
TAUGHT_LIMIT = 5  # versions whose reference and detectors are kept
DEPLOYED = ("deployment", "promotion")  # changes by which a version goes live
OTHER = "__other__"
Events = Block | AnyFrame
_FIRST, _LAST = -(2**62), 2**62  # places in a batch: before all, behind all


def member_rows(
    state: State, block: PredictionBlock, step: Step
) -> tuple[PredictionBlock, IntArray]:
    """The row of each event's version; those that are met for the first time begin here. In the
    block the versions have the names under which they are counted."""
    ledger = state.arrays.ledger
    rows = ledger.rows_of(block.members)
    names: dict[int, Member] = {}
    known = ledger.met(rows)
    if known.all():
        return block, rows[block.member]
    rows, strange = rows.copy(), ~known & present(block.member, len(rows))
    first = _first_rows(block)
    for place in np.flatnonzero(strange).tolist():
        member = block.members[place]
        row = ledger.rows.get(member)
        if row is None or member.version not in state.models[member.model].versions:
            row = _meet(state, member, float(block.at[first[place]]), step)
            names[place] = ledger.names[row]
        else:
            ledger.meet(row)
        rows[place] = row
    if names:
        members = tuple(names.get(place, member) for place, member in enumerate(block.members))
        block = dataclasses.replace(block, members=members)
    return block, rows[block.member]


def _first_rows(block: PredictionBlock) -> IntArray:
    """The first row of each member that has any."""
    first = np.zeros(len(block.members), dtype=np.int64)
    first[block.member[::-1]] = np.arange(len(block))[::-1]
    return first


def _meet(state: State, member: Member, at: float, step: Step) -> int:
    """The row of a version that is not known by now."""
    model = state.models[member.model]
    before = model.live_version
    row = met(state, member, at)
    if model.live_version != before:
        step.live[member.model] = model.live_version
    return row


def met(state: State, member: Member, at: float) -> int:
    """The row of a version that predicted at this time; one seen for the first time starts with
    the reference of the one that is live."""
    ledger, model = state.arrays.ledger, state.models[member.model]
    if member.version not in model.versions and _many_open(state, model):
        member = Member(member.model, OTHER)
    row = ledger.member(model.row, member)
    if member.version in model.versions:
        return row
    inherited = model.profiles.get(model.live_version)
    if inherited is not None and member.version not in model.profiles:
        model.refer(inherited, member.version)
        renewal = model.renewals.get(model.live_version)
        if renewal is not None:
            renewal.heirs = [*renewal.heirs, member.version][-TAUGHT_LIMIT:]
        if model.changes and model.share is None:
            state.renewing.add(model.model)
    model.versions[member.version] = VersionRecord(member.version, first_seen=at, last_seen=at)
    if not model.live_version:
        model.live_version = member.version
    _forget_old(model, member.version)
    return row


def apart(state: State, events: Sequence[Events]) -> Iterator[Sequence[Events]]:
    """A batch cut before the first event of each further version of its models: what a version
    begins with hangs on all that came before, however the stream is cut into batches. So does the
    window from which on a reference holds that is learned anew: of models that learn one, it is cut
    behind each event that lets a window close."""
    cuts = sorted({*_meetings(state, events), *_closings(state, events)})
    if not cuts:
        yield events
        return
    for low, high in pairwise([_FIRST, *cuts, _LAST]):
        chosen = ((each, (each.seq >= low) & (each.seq < high)) for each in events)
        yield [each.take(rows) for each, rows in chosen if rows.any()]


def _meetings(state: State, events: Iterable[Events]) -> list[int]:
    """The places in a batch where further versions begin, of as many as are told apart."""
    firsts: dict[str, dict[str, int]] = {}
    for each in events:
        if isinstance(each, PredictionBlock | PredictionFrame) and len(each):
            for (model, version), seq in _begun(state, each):
                known = firsts.setdefault(model, {})
                known[version] = min(seq, known.get(version, seq))
    found: set[int] = set()
    for name, versions in firsts.items():
        known_model = state.models.get(name)
        first = 0 if known_model is not None and known_model.live_version else 1
        found.update(sorted(versions.values())[first:OPEN_LIMIT])
    return sorted(found)


def heed_deployed(state: State, events: Iterable[Events]) -> None:
    """Notes the models of which versions were deployed, that may get references of their own."""
    for each in events:
        if not isinstance(each, ChangeFrame) or whole(each.model) != each.model:
            continue
        if any(change.kind in DEPLOYED for change in each.events):
            state.renewing.add(each.model)


def _closings(state: State, events: Iterable[Events]) -> list[int]:
    """The places in a batch behind events by which a window closes, of models that learn anew."""
    if not state.renewing:
        return []
    firsts: dict[tuple[int, int], int] = {}
    for each in events:
        for row, stage, seq in _stages(state, each):
            firsts[row, stage] = min(seq, firsts.get((row, stage), seq))
    first_open = state.arrays.clocks.arrays["next_window"]
    found = {
        seq + 1
        for (row, stage), seq in firsts.items()
        if first_open[row] == NOT_BEGUN or stage > first_open[row]
    }
    return sorted(found)[:CUTS_LIMIT]


def _stages(state: State, event: Events) -> Iterator[tuple[int, int, int]]:
    """Of models that learn anew: the row, up to which window events let windows close, and the
    place of the first of these events."""
    if isinstance(event, PredictionBlock | LabelBlock):
        names, place = models_of(event)
        row = np.array([_renewing(state, name) for name in names], dtype=np.int64)[place]
    else:
        row = np.full(len(event), _renewing(state, event.model), dtype=np.int64)
    chosen = np.flatnonzero(row >= 0)
    if not len(chosen):
        return
    row, clocks = row[chosen], state.arrays.clocks.arrays
    stage = window_index(event.at[chosen] - clocks["lateness"][row], clocks["width"][row])
    pairs, which = np.unique(np.stack([row, stage]), axis=1, return_inverse=True)
    first = np.full(pairs.shape[1], _LAST, dtype=np.int64)
    np.minimum.at(first, which.ravel(), event.seq[chosen])
    yield from zip(*pairs.tolist(), first.tolist(), strict=True)


def _renewing(state: State, name: str) -> int:
    return state.model(name).row if name in state.renewing else -1


def _begun(state: State, event: PredictionBlock | PredictionFrame) -> Iterator[tuple[Member, int]]:
    """The versions that are not known by now, and the place of the first event of each."""
    if isinstance(event, PredictionFrame):
        member = Member(event.model, event.version)
        if _strange(state, member):
            yield member, int(event.seq.min())
        return
    ledger = state.arrays.ledger
    doubtful = np.flatnonzero(~ledger.met(ledger.rows_of(event.members))).tolist()
    strange = [place for place in doubtful if _strange(state, event.members[place])]
    if not strange:
        return
    first = np.full(len(event.members), _LAST, dtype=np.int64)
    np.minimum.at(first, event.member, event.seq)
    for place in strange:
        if first[place] < _LAST:
            yield event.members[place], int(first[place])


def _strange(state: State, member: Member) -> bool:
    model = state.models.get(member.model)
    return model is None or member.version not in model.versions


def _many_open(state: State, model: ModelState) -> bool:
    """Whether as many versions have open windows as are told apart."""
    return state.arrays.ledger.open.begun(model.row) >= OPEN_LIMIT


def _forget_old(model: ModelState, met: str) -> None:
    """Versions come and go for years: only the last ones stay in memory, and the one just met."""
    if len(model.versions) <= TAUGHT_LIMIT:
        return
    model.settle()
    newest = sorted(model.versions, key=lambda v: -model.versions[v].last_seen)
    kept = {model.live_version, met}
    for version in model.taught() - set(newest[:TAUGHT_LIMIT]) - kept:
        if _may_go(model, version):
            model.forget(version)
    for version in set(newest[VERSIONS_LIMIT:]) - kept:
        del model.versions[version]
        row = model.arrays.ledger.rows.get(Member(model.model, version))
        if row is not None:
            model.arrays.ledger.meet(row, False)


def _may_go(model: ModelState, version: str) -> bool:
    """Whether a version is on record, or labels that came late taught of it; one that is to come
    may have been given its reference already."""
    if version in model.versions:
        return True
    counted = Member(model.model, version) in model.arrays.ledger.rows
    return counted and version not in model.profiles


def release_old(model: ModelState) -> None:
    """Gives back the rows of versions of which nothing is left, once there are many. Not while
    events are taken in: they may be of just these."""
    if len(model.arrays.ledger.versions.get(model.model, ())) > VERSIONS_LIMIT:
        model.settle()
        model.arrays.release(model.model, model.row)
