"""Kept blocks as bytes: column by column, exact to the last bit, without pickle.

Numbers are stored as they are; what label joins need of events, times and whole numbers in the
fewest bytes that hold them exactly. Nothing is compressed: measured floats hardly shrink, and
trying would cost more than all the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from watchkeeper.daemon.storage.columns import (
    Column,
    bits,
    numbers,
    read_bits,
    read_reals,
    read_texts,
    read_wholes,
    read_words,
    texts,
    times,
    words,
)
from watchkeeper.daemon.storage.snapshots import SnapshotError, layout_of, seal, unseal
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, PredictionBlock, models_of
from watchkeeper.detectors.keys import Keys

LAYOUT = 3
_BEFORE = (1, 2)  # all of which this one has too: 1 had no times by steps, neither had decimals


class Stored(msgspec.Struct):
    """A block as it is written: of each row's model, or model and version, its place in `names`."""

    kind: Literal["prediction", "label"]
    n: int
    names: Sequence[tuple[str, str]]
    columns: dict[str, Column]
    numeric: dict[str, Column] = {}
    categorical: dict[str, Column] = {}


@dataclass(frozen=True, slots=True)
class Packed:
    """A block that only needs to be written, and what is told of it: rows by model, the least and
    the newest time, and the keys."""

    stored: Stored
    counts: Mapping[str, int]
    from_at: float
    to_at: float
    keys: Keys

    def __len__(self) -> int:
        return self.stored.n

    @property
    def is_labels(self) -> bool:
        """Whether it is of labels."""
        return self.stored.kind == "label"

    @property
    def block(self) -> Block:
        """What `decode` gives back of it."""
        return _block(self.stored)


def pack(block: Block) -> Packed:
    """The block, ready to be written, which must have rows. TypeError for a column of text that
    holds anything but text and None."""
    names, place = models_of(block)
    stored = _label(block) if isinstance(block, LabelBlock) else _prediction(block)
    ends = float(block.at.min()), float(block.at.max())
    counts = np.bincount(place, minlength=len(names)).tolist()
    return Packed(stored, counted(names, counts), *ends, block.key)


def counted(names: Sequence[str], counts: Sequence[int]) -> Mapping[str, int]:
    """How many rows each name has, of which some may be there several times; those that none has
    are left out."""
    found = dict(zip(names, counts, strict=True))
    if len(found) == len(names) and 0 not in counts:
        return found
    twice = Counter[str]()  # several versions of one model
    for name, n in zip(names, counts, strict=True):
        if n:
            twice[name] += n
    return twice


def encode(packed: Packed) -> bytes:
    """A block as bytes."""
    return seal(msgspec.msgpack.encode(packed.stored), LAYOUT)


def decode(blob: bytes) -> Block:
    """The block exactly as it was; SnapshotError where the bytes are not a block."""
    layout = layout_of(blob)
    body = unseal(blob, layout if layout in _BEFORE else LAYOUT)
    try:
        return _block(_decoder.decode(body))
    except (msgspec.MsgspecError, ValueError, TypeError, IndexError, KeyError) as error:
        raise SnapshotError(f"not a block: {error}") from error


def _label(block: LabelBlock) -> Stored:
    found = {
        "place": numbers(block.model),
        "at": times(block.at),
        "key": numbers(block.key),
        "request_id": texts(block.request_id),
        "label": words(block.label),
        "value": numbers(block.value),
    }
    if block.source is not None:
        found["source"] = words(block.source)
    return Stored("label", len(block), [(model, "") for model in block.models], found)


def _prediction(block: PredictionBlock) -> Stored:
    names = ("key", "entity_key", "duration_s", "status", "score", "value")
    found = {name: numbers(getattr(block, name)) for name in names}
    found |= {
        "at": times(block.at),
        "place": numbers(block.member),
        "request_id": texts(block.request_id),
        "entity": texts(block.entity),
        "label": words(block.label),
        "output_valid": bits(block.output_valid),
    }
    numeric = {name: numbers(column) for name, column in block.numeric.items()}
    categorical = {name: words(column) for name, column in block.categorical.items()}
    members = [(member.model, member.version) for member in block.members]
    return Stored("prediction", len(block), members, found, numeric, categorical)


# ----------------------------------------------------------------------------------------- reading


def _block(stored: Stored) -> Block:
    return _label_block(stored) if stored.kind == "label" else _prediction_block(stored)


def _label_block(stored: Stored) -> LabelBlock:
    columns, n = stored.columns, stored.n
    return LabelBlock(
        models=tuple(model for model, _ in stored.names),
        model=read_wholes(columns["place"], n).astype(np.int32),
        at=read_reals(columns["at"], n),
        seq=np.arange(n, dtype=np.int64),
        key=read_wholes(columns["key"], n).astype(np.uint64),
        request_id=read_texts(columns["request_id"], n),
        label=read_words(columns["label"], n),
        value=read_reals(columns["value"], n),
        source=read_words(columns["source"], n) if "source" in columns else None,
    )


def _prediction_block(stored: Stored) -> PredictionBlock:
    columns, n = stored.columns, stored.n
    return PredictionBlock(
        members=tuple(Member(*name) for name in stored.names),
        member=read_wholes(columns["place"], n).astype(np.int32),
        seq=np.arange(n, dtype=np.int64),
        at=read_reals(columns["at"], n),
        duration_s=read_reals(columns["duration_s"], n),
        score=read_reals(columns["score"], n),
        value=read_reals(columns["value"], n),
        key=read_wholes(columns["key"], n).astype(np.uint64),
        entity_key=read_wholes(columns["entity_key"], n).astype(np.uint64),
        request_id=read_texts(columns["request_id"], n),
        entity=read_texts(columns["entity"], n),
        status=read_wholes(columns["status"], n).astype(np.int64),
        label=read_words(columns["label"], n),
        output_valid=read_bits(columns["output_valid"], n),
        numeric={name: read_reals(column, n) for name, column in stored.numeric.items()},
        categorical={name: read_words(c, n) for name, c in stored.categorical.items()},
    )


_decoder = msgspec.msgpack.Decoder(Stored)
