"""The columns that rows of a few stencils fill, and their block."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from watchkeeper.daemon.transport.codec.coder import Coder
from watchkeeper.daemon.transport.codec.dense import dense, without_empty
from watchkeeper.daemon.transport.codec.fill import members_of, named
from watchkeeper.daemon.transport.codec.shapes import BulkKind
from watchkeeper.detectors.blocks import Block, LabelBlock, PredictionBlock
from watchkeeper.detectors.texts import Spans, Words
from watchkeeper.detectors.types import BoolArray, IntArray

NUMBERS = ("duration_s", "score", "value")
CODED: Mapping[BulkKind, tuple[str, ...]] = {
    "prediction": ("model_name", "model_version", "label"),
    "label": ("model_name", "label", "source"),
}
_INT64 = 2.0**63
Coders = Mapping[tuple[str, str], Coder]


class Outlined:
    """Columns of a batch; only the rows that are `taken` have values."""

    def __init__(
        self, kind: BulkKind, n: int, numeric: tuple[str, ...], categorical: tuple[str, ...]
    ) -> None:
        self.taken = np.zeros(n, dtype=np.bool_)
        self.at = np.empty(n)
        self.request, self.entity = np.empty((2, n), np.int64), np.empty((2, n), np.int64)
        self.key, self.entity_key = np.empty(n, np.uint64), np.empty(n, np.uint64)
        self.status = np.empty(n, np.int64)
        self.numbers = {name: np.empty(n) for name in NUMBERS}
        self.codes = {name: np.empty(n, np.int32) for name in CODED[kind]}
        self.numeric = {name: np.empty(n) for name in numeric}
        self.categorical = {name: np.empty(n, np.int32) for name in categorical}

    def blocks(
        self, kind: BulkKind, buffer: bytes, seq: IntArray, coders: Coders
    ) -> tuple[list[Block], IntArray]:
        """The blocks of the taken rows, and the places of the rows that are in them."""
        rows = np.flatnonzero(self.taken)
        every = slice(None) if len(rows) == len(self.taken) else rows
        models = coders["", "model_name"].column(self.codes["model_name"][every])
        good: BoolArray = np.ones(len(rows), dtype=np.bool_)
        good &= named(models)
        if kind == "label":
            labels = self._labels(buffer, seq, models, coders, every)
            if good.all():
                return [labels], rows
            return ([labels.take(good)] if good.any() else []), rows[good]
        versions = coders["", "model_version"].column(self.codes["model_version"][every])
        good &= named(versions)
        block = self._predictions(buffer, seq, models, versions, coders, every)
        for column in block.numeric.values():
            large = np.abs(column) >= _INT64
            if large.any():
                good &= ~large
        if good.all():
            return dense(without_empty(block)), rows
        return (dense(without_empty(block.take(good))) if good.any() else []), rows[good]

    def _labels(
        self, buffer: bytes, seq: IntArray, models: Words, coders: Coders, every: slice | IntArray
    ) -> LabelBlock:
        return LabelBlock(
            models=models.words,
            model=models.codes,
            at=self.at[every],
            seq=seq[every],
            key=self.key[every],
            request_id=Spans(buffer, self.request[0, every], self.request[1, every]),
            label=coders["", "label"].column(self.codes["label"][every]),
            value=self.numbers["value"][every],
            source=coders["", "source"].column(self.codes["source"][every]).if_any(),
        )

    def _predictions(
        self,
        buffer: bytes,
        seq: IntArray,
        models: Words,
        versions: Words,
        coders: Coders,
        every: slice | IntArray,
    ) -> PredictionBlock:
        members, member = members_of(models, versions)
        score, value = self.numbers["score"][every], self.numbers["value"][every]
        return PredictionBlock(
            members=members,
            member=member,
            at=self.at[every],
            seq=seq[every],
            key=self.key[every],
            request_id=Spans(buffer, self.request[0, every], self.request[1, every]),
            entity_key=self.entity_key[every],
            entity=Spans(buffer, self.entity[0, every], self.entity[1, every]),
            duration_s=self.numbers["duration_s"][every],
            status=self.status[every],
            label=coders["prediction", "label"].column(self.codes["label"][every]),
            score=score,
            value=value,
            output_valid=~((score < 0) | (score > 1)) & ~np.isinf(value),
            numeric={name: column[every] for name, column in self.numeric.items()},
            categorical={
                name: coders["features", name].column(column[every])
                for name, column in self.categorical.items()
            },
        )
