"""Compares clients with each other, for the models whose users asked for it."""

from __future__ import annotations

import numpy as np

from watchkeeper.daemon.core.state import State
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.signals.clients import Clients
from watchkeeper.detectors.types import IntArray, Partial

_CLIENTS = Clients()


def compare_clients(
    state: State, block: PredictionBlock, members: IntArray, window: IntArray
) -> None:
    """Sketches how the clients in a block asked, into the windows of their versions."""
    ledger, compared = state.arrays.ledger, state.arrays.clocks.arrays["compared"]
    if not compared.any():
        return
    models = ledger.members.arrays["model"][members]
    chosen = np.flatnonzero(compared[models] & (block.entity_key != 0))
    for row in np.unique(members[chosen]).tolist():
        member = ledger.names[row]
        model, width = state.models[member.model], state.policy(member.model).window_s
        mine = chosen[members[chosen] == row]
        for index in np.unique(window[mine]).tolist():
            rows = block.take(mine[window[mine] == index])
            part = _CLIENTS.sketch(rows, model.reference(member.version, index * width))
            into = model.partials.setdefault(index, {})
            into.setdefault((member.version, _CLIENTS.name), Partial()).merge(part)
