"""Refuses the events of new models once as many are watched as memory is meant for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from watchkeeper.daemon.transport.codec import DeadLetter, Decoded
from watchkeeper.daemon.transport.ports import Record


def admit(
    records: Sequence[Record], decoded: Decoded, known: Collection[str], models_limit: int
) -> None:
    """Turns frames of models beyond the limit into dead letters; `known` are watched already."""
    room = models_limit - len(known)
    new = dict.fromkeys(f.model for f in decoded.frames if f.model not in known)
    refused = set(list(new)[max(room, 0) :])
    if not refused:
        return
    for frame in (f for f in decoded.frames if f.model in refused):
        why = f"{models_limit} models are watched already"
        for row in frame.seq.tolist():
            letter = DeadLetter(records[row], "too_many_models", "$.model_name", why)
            decoded.dead.append(letter)
    decoded.frames[:] = [f for f in decoded.frames if f.model not in refused]
