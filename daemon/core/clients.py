"""Compares clients with each other, for the models whose users asked for it."""

from __future__ import annotations

from itertools import islice

import numpy as np

from watchkeeper.daemon.core.cuts import cuts_where
from watchkeeper.daemon.core.joined import Joined
from watchkeeper.daemon.core.state import State
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.keys import combined
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals.clients import BUCKETS, Clients
from watchkeeper.detectors.signals.labels import Pairs, contradicted, key_of
from watchkeeper.detectors.types import IntArray

REMEMBERED = 16_384  # requests of a model that are compared with labels by who made them
_CLIENTS = Clients()


def compare_clients(
    state: State, block: PredictionBlock, members: IntArray, window: IntArray
) -> None:
    """Sketches how the clients in a block asked, into the windows of their versions."""
    key = state.arrays.clocks.arrays["key"]
    for cut in cuts_where(state, members, window, "compared"):
        rows = cut.rows[block.entity_key[cut.rows] != 0]
        if len(rows):
            cut.part(_CLIENTS.name).merge(_CLIENTS.sketch(block.take(rows), cut.profile))
            _remember(cut.model.asked, block, rows, int(key[cut.model.row]))


def _remember(asked: dict[int, int], block: PredictionBlock, rows: IntArray, model: int) -> None:
    """Who made these requests, until there were so many others."""
    requests = combined(block.key[rows], np.full(len(rows), model, dtype=np.uint64))
    groups = block.entity_key[rows] % np.uint64(BUCKETS)
    asked.update(zip(requests.tolist(), groups.tolist(), strict=True))
    for request in list(islice(asked, max(len(asked) - REMEMBERED, 0))):
        del asked[request]


def count_success(state: State, joined: Joined, members: IntArray, window: IntArray) -> None:
    """Counts how often clients were answered wrong, into the windows in which that became known."""
    for cut in cuts_where(state, members, window, "compared"):
        asked = cut.model.asked
        group = np.array([asked.get(key, -1) for key in joined.key[cut.rows].tolist()])
        rows, group = cut.rows[group >= 0], group[group >= 0]
        usable, wrong = contradicted(_pairs_of(joined, rows, cut.profile))
        if usable.any():
            cut.part(_CLIENTS.name).merge(_CLIENTS.success(group, usable, wrong))


def _pairs_of(joined: Joined, rows: IntArray, profile: Profile | None) -> Pairs:
    positive = key_of(None if profile is None else profile.positive)
    said = joined.predicted_label[rows], joined.label[rows], positive, joined.score[rows]
    return Pairs(*said, joined.predicted_value[rows], joined.value[rows])
