"""What a batch of records held, and where the first event of each model stands in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from watchkeeper.daemon.transport.codec.deadletter import DeadLetter
from watchkeeper.detectors.blocks import Block, models_of
from watchkeeper.detectors.types import AnyFrame, BoolArray, Command

_LAST = 2**62

Settled = Callable[[Sequence[str]], BoolArray]  # which models are known to whoever asks


@dataclass(slots=True)
class Decoded:
    """What a batch of records held.

    Frames of one kind follow each other in order of their first row; `seq` is the record's place
    in the batch. `commands` and `dead` are in order of arrival. `unknown_fields` counts top-level
    fields that no type knows, in the records that were looked at (the first of a kind and every
    64th record): it is a sign, not a sum. `blocks` holds the predictions and labels where blocks
    were asked for; `frames` has none of them then.
    """

    frames: list[AnyFrame] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    tombstones: int = 0
    unknown_fields: int = 0
    blocks: list[Block] = field(default_factory=list)

    def all_frames(self) -> list[AnyFrame]:
        """The frames, with those of the blocks before them."""
        return [*(frame for block in self.blocks for frame in block.frames()), *self.frames]

    def first_places(self, settled: Settled | None = None) -> dict[str, int]:
        """The models that there are events of, with the place of each one's first; but for those
        of the blocks' that are `settled`."""
        found: dict[str, int] = {}
        for frame in self.frames:
            found[frame.model] = min(found.get(frame.model, _LAST), int(frame.seq[0]))
        for block in self.blocks:
            models, place = models_of(block)
            seq = block.seq
            if settled is not None:
                known = settled(models)
                if known.all():
                    continue
                new = ~known[place]
                place, seq = place[new], seq[new]
            codes, first = np.unique(place, return_index=True)
            for code, row in zip(codes.tolist(), seq[first].tolist(), strict=True):
                model = models[code]
                if row < found.get(model, _LAST):
                    found[model] = row
        return found
