"""Counts what came twice into the windows of its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchkeeper.daemon.core.cuts import cuts, cuts_where
from watchkeeper.daemon.core.state import State
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.signals.duplicates import ANSWERED, REPEATED, UNKNOWN, Duplicates
from watchkeeper.detectors.types import IntArray, Series

if TYPE_CHECKING:
    from watchkeeper.daemon.core.closing import Closing

_DUPLICATES = Duplicates()


def count_repeated(state: State, block: PredictionBlock, models: IntArray) -> None:
    """Counts predictions whose request had one already: there are few as a rule."""
    _, window, open_ = state.arrays.clocks.windows(models, block.at)
    members = _recorded(state, block)[block.member]
    for cut in cuts(state, members, window, np.flatnonzero(open_ & (members >= 0))):
        cut.part(_DUPLICATES.name).merge(_counted(REPEATED, cut.rows))


def _recorded(state: State, block: PredictionBlock) -> IntArray:
    """The rows of a block's members that are on their models' records; -1 for all others."""
    rows = np.full(len(block.members), -1, dtype=np.int64)
    for place in np.unique(block.member).tolist():
        member = block.members[place]
        model = state.models[member.model]
        if member.version in model.versions:
            rows[place] = state.arrays.ledger.member(model.row, member)
    return rows


def count_unknown(
    state: State, block: PredictionBlock, models: IntArray, members: IntArray, window: IntArray
) -> None:
    """Counts predictions of which nobody can know whether they came twice: label joins keep only
    a share of their model's requests."""
    sampling = state.arrays.joins.sampling
    if not sampling.samples:
        return
    kept = sampling.kept(models, state.arrays.keys(models, block))
    if kept is None:
        return
    for cut in cuts(state, members, window, np.flatnonzero(~kept)):
        cut.part(_DUPLICATES.name).merge(_counted(UNKNOWN, cut.rows))


def sketch_inputs(
    state: State, block: PredictionBlock, members: IntArray, window: IntArray
) -> None:
    """Samples the inputs of the models whose users asked for it."""
    for cut in cuts_where(state, members, window, "sampled"):
        cut.part(_DUPLICATES.name).merge(_DUPLICATES.sketch(block.take(cut.rows)))


def _counted(what: str, rows: IntArray) -> dict[str, IntArray]:
    return {what: np.array([len(rows)], dtype=np.int64)}


def add_answered(closing: Closing) -> None:
    """Tells a closed window how many predictions there were besides those that came twice, once a
    version had any."""
    model = closing.model
    here = model.partials.get(closing.index, {})
    for version, n in closing.answering.items():
        known = Series(model.model, version, _DUPLICATES.name, "requests") in model.judges
        if n and (known or REPEATED in here.get((version, _DUPLICATES.name), ())):
            parts = model.partials.setdefault(closing.index, {})
            part = parts.setdefault((version, _DUPLICATES.name), part_of(_DUPLICATES.name))
            part[ANSWERED] = np.array([n], dtype=np.int64)
