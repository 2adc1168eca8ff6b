"""What the kernels found in events, as blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from watchkeeper.daemon.transport.codec import fast_fields as f
from watchkeeper.daemon.transport.codec.dense import dense
from watchkeeper.daemon.transport.codec.fast_fields import Out
from watchkeeper.daemon.transport.codec.fast_words import (
    FIRST_TEXT,
    LABEL,
    MEMBER,
    MODEL,
    SOURCE,
    VERSION,
    Coded,
    Known,
    entries_of,
    few_of,
)
from watchkeeper.daemon.transport.codec.rosters import Rosters
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, PredictionBlock
from watchkeeper.detectors.roster import Numbered
from watchkeeper.detectors.texts import Spans, Words
from watchkeeper.detectors.types import IntArray

FEW = 64  # words of a block that are looked up one by one


class Found:
    """What a kernel has found, as blocks."""

    def __init__(
        self,
        buffer: bytes,
        table: Coded,
        out: Out,
        seq: IntArray,
        whole: bool,
        rosters: Rosters,
    ) -> None:
        self.buffer, self.out, self.seq = buffer, out, seq
        self.whole = whole
        self.n = len(seq)
        self._entries = entries_of(table)
        self._few = few_of(self._entries, buffer) if len(self._entries.rows) <= FEW else None
        self._rosters = rosters
        known = None if self._few is None else rosters.few(self._few.models, self._few.members)
        if known is not None:
            self._models: Numbered[str] | None = known[0]
        else:
            self._models = rosters.models(buffer, *self._entries.texts(MODEL))
        self._known_members = None if known is None else known[1]
        self._words: dict[int, list[str]] = {}
        others = self._entries.others() if self._few is None else self._few.others
        for column, first, second in others:
            self._words.setdefault(column, []).append(buffer[first:second].decode())

    def predictions(self, known: Known) -> list[Block]:
        """The block of predictions, or several where one had too many holes."""
        out, n = self.out, self.n
        texts = self._texts
        block = PredictionBlock(
            members=self._members(),
            member=out.codes[MEMBER, :n],
            at=out.numbers[f.TIME_AT, :n],
            seq=self.seq,
            key=out.keys[0, :n],
            request_id=Spans(self.buffer, out.requests[0, :n], out.requests[1, :n]),
            entity_key=out.keys[1, :n],
            entity=Spans(self.buffer, out.entities[0, :n], out.entities[1, :n]),
            duration_s=out.numbers[f.DURATION_AT, :n],
            status=out.status[:n],
            label=Words(out.codes[LABEL, :n], texts(LABEL)),
            score=out.numbers[f.SCORE_AT, :n],
            value=out.numbers[f.VALUE_AT, :n],
            output_valid=out.valid[:n],
            numeric={
                name: out.numeric[column, :n] for name, column in self._columns(known, f.NUMERIC)
            },
            categorical={
                name: Words(out.texts[column, :n], texts(FIRST_TEXT + column))
                for name, column in self._columns(known, f.TEXTS)
            },
        )
        return dense(block)

    def labels(self) -> LabelBlock:
        """The block of truths."""
        out, n = self.out, self.n
        return LabelBlock(
            models=self._models or self._names(MODEL),
            model=out.codes[MODEL, :n],
            at=out.numbers[f.TIME_AT, :n],
            seq=self.seq,
            key=out.keys[0, :n],
            request_id=Spans(self.buffer, out.requests[0, :n], out.requests[1, :n]),
            label=Words(out.codes[LABEL, :n], self._texts(LABEL)),
            value=out.numbers[f.VALUE_AT, :n],
            source=Words(out.codes[MEMBER, :n], self._texts(SOURCE)).if_any(),
        )

    def _texts(self, column: int) -> tuple[str, ...]:
        return tuple(self._words.get(column, ()))

    def _names(self, column: int) -> tuple[str, ...]:
        _, first, second = self._entries.texts(column)
        places = zip(first.tolist(), second.tolist(), strict=True)
        return tuple(self.buffer[start:end].decode() for start, end in places)

    def _members(self) -> tuple[Member, ...]:
        if self._known_members is not None:
            return self._known_members
        pairs = self._entries.pairs()
        if self._models is not None:
            versions = self._entries.texts(VERSION)
            found = self._rosters.members(self.buffer, self._models, versions, pairs)
            if found is not None:
                if self._few is not None:
                    self._rosters.note(self._few.models, self._few.members, (self._models, found))
                return found
        models, versions_ = self._names(MODEL), self._names(VERSION)
        places = zip(pairs[0].tolist(), pairs[1].tolist(), strict=True)
        return tuple(Member(models[model], versions_[version]) for model, version in places)

    def _columns(self, known: Known, of: int) -> Sequence[tuple[str, int]]:
        """The features that some row has, with their columns."""
        found = known.columns(self.out.places[:, of])
        return found if self.whole else [each for each in found if self._has(of, each[1])]

    def _has(self, of: int, column: int) -> bool:
        """Whether a column has a value: one that only rows had which were left, has none."""
        if of == f.TEXTS:
            return bool((self.out.texts[column, : self.n] >= 0).any())
        return not bool(np.isnan(self.out.numeric[column, : self.n]).all())
