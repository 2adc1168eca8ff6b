"""Takes events in: late rows apart, joins, references, and counts into open windows.

Predictions and labels come as blocks of many models and are worked on in columns; the frames of
logs, metrics and changes are few, and are measured model by model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from watchkeeper.daemon.core.cells import count_cells
from watchkeeper.daemon.core.clients import compare_clients, count_success
from watchkeeper.daemon.core.clocks import Arrivals
from watchkeeper.daemon.core.counting import Happened
from watchkeeper.daemon.core.joins import Joined
from watchkeeper.daemon.core.labelling import count_sources
from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.repeats import count_repeated, sketch_inputs
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.core.together import relate_features
from watchkeeper.daemon.core.versions import OTHER, met
from watchkeeper.detectors.arrays.absorb import Pairs
from watchkeeper.detectors.blocks import (
    Block,
    Codes,
    LabelBlock,
    Member,
    PredictionBlock,
    Spans,
    models_of,
)
from watchkeeper.detectors.gathered import add_frame
from watchkeeper.detectors.joint.learned import learned_with_joint
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.signals import SIGNALS, part_of
from watchkeeper.detectors.signals.accuracy import Accuracy
from watchkeeper.detectors.signals.metrics import TARGETS, Metrics, carried
from watchkeeper.detectors.types import (
    AnyFrame,
    BoolArray,
    ChangeFrame,
    FloatArray,
    Frame,
    IntArray,
    JoinedFrame,
    LabelFrame,
    MetricFrame,
    Partial,
    PredictionFrame,
)
from watchkeeper.detectors.windows import window_index

CHANGES_LIMIT = 50
METRICS_LIMIT = TARGETS - 1  # different (name, host) of metrics told apart; all others are one
LIVE = ""  # stands for the version that is live once the window is closed
# What is counted in arrays; all other signals are measured into parts.
COUNTED = frozenset({"accuracy", "clients", "errors", "features", "latency", "output", "volume"})
_REGRESSED = Accuracy()
F = TypeVar("F", bound=Frame)


def ingest(state: State, events: Sequence[Block | AnyFrame], step: Step) -> None:
    """Brings all events of one batch into the open windows."""
    given = [_as_block(each) for each in events if len(each)]
    if not given:
        return
    rows = [_models(state, each) for each in given]
    arrivals = _arrive(state, given, rows)
    for each, models, (late, closed) in zip(given, rows, arrivals, strict=True):
        if late.any():
            state.counting.add(Happened.LATE, models[late])
        if isinstance(each, PredictionBlock):
            _predictions(state, each, models, late, closed, step)
        elif isinstance(each, LabelBlock):
            _labels(state, each, models, late, step)
        else:
            _frame(state.models[each.model], state.policy(each.model), each, late, step)
        step.dirty.mark(models, state.names)
    for row, conflicts, orphans in state.arrays.tallied():
        if row in state.by_row:
            state.counting.add_to(Happened.CONFLICTS, row, conflicts)
            state.counting.add_to(Happened.UNMATCHED, row, orphans)


def _as_block(event: Block | AnyFrame) -> Block | AnyFrame:
    if isinstance(event, PredictionFrame):
        return PredictionBlock.of(event)
    return LabelBlock.of(event) if isinstance(event, LabelFrame) else event


def _models(state: State, event: Block | AnyFrame) -> IntArray:
    """The row of each event's model."""
    if not isinstance(event, PredictionBlock | LabelBlock):
        return np.full(len(event), state.model(event.model).row, dtype=np.int64)
    if isinstance(event, LabelBlock):
        names, place, rows = event.models, event.model, state.rows_of(event.models)
    else:
        ledger, (names, place) = state.arrays.ledger, models_of(event)
        members = ledger.rows_of(event.members)
        rows = np.where(members >= 0, ledger.members.arrays["model"][members], -1)
    unknown = rows < 0
    if unknown.any():
        rows = rows.copy()
        for code in np.flatnonzero(unknown & _present(place, len(rows))).tolist():
            rows[code] = state.model(names[code]).row
    return rows[place]


def _present(codes: Codes, n: int) -> BoolArray:
    """Which codes some row has: a block may name what it has no row of."""
    seen = np.zeros(n, dtype=np.bool_)
    seen[codes] = True
    return seen


def _arrive(
    state: State, events: Sequence[Block | AnyFrame], rows: Sequence[IntArray]
) -> list[Arrivals]:
    """Moves the models' times on; says for each event list who is late."""
    if len(events) == 1:
        return [state.arrays.clocks.arrive(rows[0], events[0].at, events[0].seq)]
    at = np.concatenate([each.at for each in events])
    seq = np.concatenate([each.seq for each in events])
    found = state.arrays.clocks.arrive(np.concatenate(rows), at, seq)
    cuts = np.cumsum([len(each) for each in events])[:-1]
    parts = zip(np.split(found.late, cuts), np.split(found.closed, cuts), strict=True)
    return [Arrivals(*part) for part in parts]


def _counted(rows: IntArray) -> Iterator[tuple[int, int]]:
    """How many there are of each number."""
    if not len(rows):
        return iter(())
    if rows[0] == rows[-1] and (rows == rows[0]).all():
        return iter([(int(rows[0]), len(rows))])
    counts = np.bincount(rows)
    numbers = np.flatnonzero(counts)
    return zip(numbers.tolist(), counts[numbers].tolist(), strict=True)


# ------------------------------------------------------------------------------------- predictions


def _predictions(
    state: State,
    block: PredictionBlock,
    models: IntArray,
    late: BoolArray,
    closed: FloatArray,
    step: Step,
) -> None:
    arrays = state.arrays
    keys = arrays.keys(models, block)
    fresh = arrays.joins.fresh(models, keys)
    if not fresh.all():
        state.counting.add(Happened.CONFLICTS, models[~fresh])
        count_repeated(state, block.take(~fresh), models[~fresh])
        block, models, keys = block.take(fresh), models[fresh], keys[fresh]
        late, closed = late[fresh], closed[fresh]
    if not len(block):
        return
    state.counting.add(Happened.PREDICTIONS, models)
    block, members = _members(state, block, step)
    step.captured.append(block)
    joined = arrays.predicted(models, members, keys, block, closed)
    _learn(state, block, members, step)
    if not late.any():
        _count(state, block, models, members)
    elif not late.all():
        on_time = ~late
        _count(state, block.take(on_time), models[on_time], members[on_time])
    _pairs(state, joined, step)


def _members(state: State, block: PredictionBlock, step: Step) -> tuple[PredictionBlock, IntArray]:
    """The row of each event's version; those that are met for the first time begin here. In the
    block the versions have the names under which they are counted."""
    ledger = state.arrays.ledger
    rows = ledger.rows_of(block.members)
    names: dict[int, Member] = {}
    known = ledger.met(rows)
    if known.all():
        return block, rows[block.member]
    rows, strange = rows.copy(), ~known & _present(block.member, len(rows))
    for place in np.flatnonzero(strange).tolist():
        member = block.members[place]
        row = ledger.rows.get(member)
        if row is None or member.version not in state.models[member.model].versions:
            row = _met(state, block, place, step)
            names[place] = ledger.names[row]
        else:
            ledger.meet(row)
        rows[place] = row
    if names:
        members = tuple(names.get(place, member) for place, member in enumerate(block.members))
        block = dataclasses.replace(block, members=members)
    return block, rows[block.member]


def _met(state: State, block: PredictionBlock, place: int, step: Step) -> int:
    """The row of a version that is not known by now."""
    member = block.members[place]
    model = state.models[member.model]
    before = model.live_version
    row = met(state, member, float(block.at[np.argmax(block.member == place)]))
    if model.live_version != before:
        step.live[member.model] = model.live_version
    return row


def _learn(state: State, block: PredictionBlock, members: IntArray, step: Step) -> None:
    """Gathers what references are learned from; a reference holds for windows that begin after
    the newest of its rows."""
    without = ~state.arrays.ledger.members.arrays["referred"][members]
    if not without.any():
        return
    places = np.unique(block.member[without]).tolist()
    learning = [place for place in places if _learns(state, block.members[place])]
    if not learning:
        return
    # Names of requests and clients teach nothing, and would take most of the memory.
    nameless = Spans.nothing(len(block))
    bare = dataclasses.replace(block, request_id=nameless, entity=nameless)
    for place in learning:
        member = block.members[place]
        if _learns(state, member):  # others may be counted under the same name
            _gather(state, member, bare, place, step)


def _learns(state: State, member: Member) -> bool:
    """Whether a version's reference is still being learned, or learned anew."""
    model = state.models[member.model]
    renewal = model.renewals.get(member.version)
    anew = renewal is not None and renewal.candidate is None
    return (anew or member.version not in model.profiles) and model.share is None


def _gather(state: State, member: Member, block: PredictionBlock, place: int, step: Step) -> None:
    model, policy = state.models[member.model], state.policy(member.model)
    rows = np.flatnonzero(block.member == place)
    step.learning.add(member)
    gathered = model.learning.setdefault(member.version, [])
    missing = policy.learn_n - sum(len(part) for part in gathered)
    add_frame(gathered, block.frame(place, rows[:missing]))
    if len(rows) < missing:
        return
    profile = learn_profile(gathered, *member, source="learned", positive=policy.positive)
    if policy.multivariate:
        profile = learned_with_joint(profile, gathered)
    if member.version in model.renewals:
        # It counts once all windows it was learned from are closed.
        model.renewals[member.version].candidate = profile
        del model.learning[member.version]
        state.arrays.ledger.learns(state.arrays.ledger.rows[member], False)
        return
    model.refer(profile, member.version)
    step.profiles.append(profile)


def _count(state: State, block: PredictionBlock, models: IntArray, members: IntArray) -> None:
    width, window, open_ = state.arrays.clocks.windows(models, block.at)
    if not open_.all():
        block, members = block.take(open_), members[open_]
        width, window = width[open_], window[open_]
    if len(block):
        state.arrays.ledger.predictions(members, window, width, block)
        compare_clients(state, block, members, window)
        sketch_inputs(state, block, members, window)
        relate_features(state, block, members, window)


# ------------------------------------------------------------------------------------------ labels


def _labels(state: State, block: LabelBlock, models: IntArray, late: BoolArray, step: Step) -> None:
    state.counting.add(Happened.LABELS, models)
    step.captured.append(block)
    if late.any():
        on_time = ~late
        _pairs(state, state.arrays.labelled(models[on_time], block.take(on_time)), step)
        joined = state.arrays.labelled(models[late], block.take(late))
        _count_joined(state, joined)
    else:
        _pairs(state, state.arrays.labelled(models, block), step)


def _pairs(state: State, joined: Joined, step: Step) -> None:
    """Counts predictions with their truth into the windows in which this became known."""
    if not joined.n:
        return
    _count_joined(state, joined)
    members = joined.member.astype(np.int64)
    models = state.arrays.ledger.members.arrays["model"][members]
    width, window, open_ = state.arrays.clocks.windows(models, joined.at)
    if not open_.all():
        joined = joined.take(open_)
        members, width, window = members[open_], width[open_], window[open_]
    if not joined.n:
        return
    none = np.zeros(joined.n, dtype=np.uint64)
    pairs = Pairs(joined.predicted_label, joined.label, none, joined.score)
    state.arrays.ledger.pairs(members, window, width, pairs)
    count_sources(state, joined, members, window)
    count_success(state, joined, members, window)
    count_cells(state, joined, members, window)
    regressed = np.isfinite(joined.predicted_value) & np.isfinite(joined.value)
    if regressed.any():
        _regressed(state, joined.take(regressed), members[regressed])


def _count_joined(state: State, joined: Joined) -> None:
    models = state.arrays.ledger.members.arrays["model"][joined.member.astype(np.int64)]
    state.counting.add(Happened.JOINED, models)


def _regressed(state: State, joined: Joined, members: IntArray) -> None:
    """Errors of numbers are exact sums of any size: they are kept in parts, not in arrays."""
    for row, _ in list(_counted(members)):
        mine = members == row
        member = state.arrays.ledger.names[row]
        n = int(mine.sum())
        nothing = np.full(n, None, dtype=np.object_)
        frame = JoinedFrame(
            model=member.model,
            at=joined.at[mine],
            seq=np.arange(n, dtype=np.int64),
            version=member.version,
            predicted_at=joined.predicted_at[mine],
            predicted_label=nothing,
            score=joined.score[mine],
            predicted_value=joined.predicted_value[mine],
            label=nothing,
            value=joined.value[mine],
        )
        model, policy = state.models[member.model], state.policy(member.model)
        for index, rows in _by_window(model, policy, frame):
            part = _REGRESSED.measure(rows, None)
            into = model.partials.setdefault(index, {})
            into.setdefault((member.version, _REGRESSED.name), Partial()).merge(part)


# -------------------------------------------------------------------------- logs, metrics, changes


def _frame(
    model: ModelState, policy: ModelPolicy, frame: AnyFrame, late: BoolArray, step: Step
) -> None:
    if isinstance(frame, ChangeFrame):
        step.changes.extend(frame.events)
        model.changes.extend(frame.events)
        model.changes.sort(key=lambda change: change.time)
        del model.changes[:-CHANGES_LIMIT]
        return
    kept = frame.take(~late)
    if isinstance(kept, MetricFrame):
        kept = _bounded(model, kept)
    for index, rows in _by_window(model, policy, kept):
        into = model.partials.setdefault(index, {})
        for signal in SIGNALS:
            if signal.watches is type(frame):
                part = signal.measure(rows, None)
                into.setdefault((LIVE, signal.name), part_of(signal.name)).merge(part)
        if isinstance(rows, MetricFrame):
            _carry(model, index + 1, rows)


def _carry(model: ModelState, index: int, frame: MetricFrame) -> None:
    """Tells a window what the one before it knows of counters."""
    part = carried(frame)
    if part:
        into = model.partials.setdefault(index, {})
        into.setdefault((LIVE, Metrics.name), part_of(Metrics.name)).merge(part)


def _bounded(model: ModelState, frame: MetricFrame) -> MetricFrame:
    """The frame with metrics beyond the limit under one name."""
    pairs = list(zip(frame.name, frame.host, strict=True))
    for pair in dict.fromkeys(pairs):
        if pair not in model.metrics and len(model.metrics) < METRICS_LIMIT:
            model.metrics.add(pair)
    strange = np.array([pair not in model.metrics for pair in pairs], dtype=np.bool_)
    if not strange.any():
        return frame
    name, host = frame.name.copy(), frame.host.copy()
    name[strange], host[strange] = OTHER, None
    counter = frame.counter & ~strange
    return dataclasses.replace(frame, name=name, host=host, counter=counter)


def _by_window(model: ModelState, policy: ModelPolicy, frame: F) -> Iterator[tuple[int, F]]:
    """The frame's rows of each open window."""
    if not len(frame):
        return
    index = window_index(frame.at, policy.window_s)
    first = model.next_window or 0
    for each in np.unique(index).tolist():
        if each >= first:
            rows = index == each
            yield each, frame if rows.all() else frame.take(rows)
