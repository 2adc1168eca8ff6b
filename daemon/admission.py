"""Refuses the events of new models once as many are watched as memory is meant for."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from watchkeeper.daemon.transport.codec import DeadLetter, Decoded, Settled
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.blocks import Block, models_of
from watchkeeper.detectors.types import IntArray


def admit(
    records: Records,
    decoded: Decoded,
    known: Collection[str],
    models_limit: int,
    settled: Settled | None = None,
) -> dict[str, int]:
    """Turns events of models beyond the limit into dead letters; `known` are watched already.

    Gives the models that are left, with the place of each one's first event in the batch. Of those
    that are `settled`, which must be known, some may be left out.
    """
    first = decoded.first_places(settled)
    room = models_limit - len(known)
    new = sorted((m for m in first if m not in known), key=first.__getitem__)
    refused = set(new[max(room, 0) :])
    if not refused:
        return first
    _refuse(records, decoded, refused, models_limit)
    return {model: place for model, place in first.items() if model not in refused}


def _refuse(records: Records, decoded: Decoded, refused: set[str], models_limit: int) -> None:
    gone = [frame.seq for frame in decoded.frames if frame.model in refused]
    decoded.frames[:] = [f for f in decoded.frames if f.model not in refused]
    decoded.blocks[:] = [kept for each in decoded.blocks if len(kept := _kept(each, refused, gone))]
    why = f"{models_limit} models are watched already"
    for row in np.unique(np.concatenate(gone)).tolist():
        decoded.dead.append(DeadLetter(records[row], "too_many_models", "$.model_name", why))


def _kept(block: Block, refused: set[str], gone: list[IntArray]) -> Block:
    """The block without the rows of refused models, whose places in the batch go to `gone`."""
    models, place = models_of(block)
    away = np.array([model in refused for model in models], dtype=np.bool_)[place]
    if not away.any():
        return block
    gone.append(block.seq[away])
    return block.take(~away)
