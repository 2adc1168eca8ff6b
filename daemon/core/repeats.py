"""Counts what came twice into the windows of its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchkeeper.daemon.core.state import State
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.signals.duplicates import ANSWERED, REPEATED, Duplicates
from watchkeeper.detectors.types import IntArray, Partial, Series

if TYPE_CHECKING:
    from watchkeeper.daemon.core.closing import Closing

_DUPLICATES = Duplicates()


def count_repeated(state: State, block: PredictionBlock, models: IntArray) -> None:
    """Counts predictions whose request had one already: there are few as a rule."""
    _, window, open_ = state.arrays.clocks.windows(models, block.at)
    places, numbers = block.member[open_].tolist(), window[open_].tolist()
    for place, index in sorted({*zip(places, numbers, strict=True)}):
        member = block.members[place]
        model = state.models[member.model]
        if member.version in model.versions:
            mine = open_ & (block.member == place) & (window == index)
            n = np.array([np.count_nonzero(mine)], dtype=np.int64)
            _into(model.partials, index, member.version).merge({REPEATED: n})


def sketch_inputs(
    state: State, block: PredictionBlock, members: IntArray, window: IntArray
) -> None:
    """Samples the inputs of the models whose users asked for it."""
    ledger, sampled = state.arrays.ledger, state.arrays.clocks.arrays["sampled"]
    if not sampled.any():
        return
    chosen = np.flatnonzero(sampled[ledger.members.arrays["model"][members]])
    for row in np.unique(members[chosen]).tolist():
        member = ledger.names[row]
        mine = chosen[members[chosen] == row]
        for index in np.unique(window[mine]).tolist():
            part = _DUPLICATES.sketch(block.take(mine[window[mine] == index]))
            into = state.models[member.model].partials
            _into(into, index, member.version).merge(part)


def _into(partials: dict[int, dict[tuple[str, str], Partial]], index: int, version: str) -> Partial:
    here = partials.setdefault(index, {})
    return here.setdefault((version, _DUPLICATES.name), part_of(_DUPLICATES.name))


def add_answered(closing: Closing) -> None:
    """Tells a closed window how many predictions there were besides those that came twice, once a
    version had any."""
    model = closing.model
    here = model.partials.get(closing.index, {})
    for version, n in closing.answering.items():
        known = Series(model.model, version, _DUPLICATES.name, "requests") in model.judges
        if n and (known or REPEATED in here.get((version, _DUPLICATES.name), ())):
            into = _into(model.partials, closing.index, version)
            into[ANSWERED] = np.array([n], dtype=np.int64)
