"""Takes events in: late rows apart, joins, references, and counts into open windows.

Predictions and labels come as blocks of many models and are worked on in columns; the frames of
logs, metrics and changes are few, and are measured model by model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from watchkeeper.daemon.core.cells import count_cells
from watchkeeper.daemon.core.clients import compare_clients, count_success
from watchkeeper.daemon.core.clocks import Arrivals
from watchkeeper.daemon.core.counting import Happened
from watchkeeper.daemon.core.joined import Joined
from watchkeeper.daemon.core.labelling import count_sources
from watchkeeper.daemon.core.learning import learn
from watchkeeper.daemon.core.measuring import by_window, measure
from watchkeeper.daemon.core.repeats import count_repeated, count_unknown, sketch_inputs
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.core.together import relate_features
from watchkeeper.daemon.core.versions import member_rows
from watchkeeper.daemon.core.weighing import sample_inputs
from watchkeeper.detectors.arrays.absorb import Pairs
from watchkeeper.detectors.blocks import Block, LabelBlock, PredictionBlock, models_of, present
from watchkeeper.detectors.signals.accuracy import Accuracy
from watchkeeper.detectors.types import (
    AnyFrame,
    BoolArray,
    FloatArray,
    IntArray,
    JoinedFrame,
    LabelFrame,
    Partial,
    PredictionFrame,
)

_REGRESSED = Accuracy()


def ingest(state: State, events: Sequence[Block | AnyFrame], step: Step) -> None:
    """Brings all events of one batch into the open windows: labels first, while all of the
    predictions that they may be of are still kept; but what predictions teach before both, as what
    is counted of labels hangs on it, too."""
    given = [_as_block(each) for each in events if len(each)]
    given.sort(key=lambda each: not isinstance(each, LabelBlock))
    if not given:
        return
    rows = [_models(state, each) for each in given]
    arrivals = _arrive(state, given, rows)
    learn(state, given, rows, step)
    for each, models, (late, closed) in zip(given, rows, arrivals, strict=True):
        if late.any():
            state.counting.add(Happened.LATE, models[late])
        if isinstance(each, PredictionBlock):
            _predictions(state, each, models, late, closed, step)
        elif isinstance(each, LabelBlock):
            _labels(state, each, models, late, step)
        else:
            measure(state.models[each.model], state.policy(each.model), each, late, step)
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
        for code in np.flatnonzero(unknown & present(place, len(rows))).tolist():
            rows[code] = state.model(names[code]).row
    return rows[place]


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
    block, members = member_rows(state, block, step)
    step.captured.append(block)
    joined = arrays.predicted(models, members, keys, block, closed)
    if not late.any():
        _count(state, block, models, members)
    elif not late.all():
        on_time = ~late
        _count(state, block.take(on_time), models[on_time], members[on_time])
    _pairs(state, joined, step)


def _count(state: State, block: PredictionBlock, models: IntArray, members: IntArray) -> None:
    width, window, open_ = state.arrays.clocks.windows(models, block.at)
    if not open_.all():
        block, models, members = block.take(open_), models[open_], members[open_]
        width, window = width[open_], window[open_]
    if len(block):
        state.arrays.ledger.predictions(members, window, width, block)
        compare_clients(state, block, members, window)
        count_unknown(state, block, models, members, window)
        sketch_inputs(state, block, members, window)
        relate_features(state, block, members, window)
        sample_inputs(state, block, members, window)


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
    for row in np.unique(members).tolist():
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
        for index, rows in by_window(model, policy, frame):
            part = _REGRESSED.measure(rows, None)
            into = model.partials.setdefault(index, {})
            into.setdefault((member.version, _REGRESSED.name), Partial()).merge(part)
