"""Blocks: a micro-batch of one event kind of many models, as columns of equal length n.

A frame is what one version of one model has of it (`PredictionBlock.frame`). Blocks exist so that
ten thousand models cost no more than one: whatever is done for every event is done to blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache, cached_property
from itertools import compress
from typing import Any, NamedTuple, Self

import numpy as np

from watchkeeper.detectors.frames import (
    BoolArray,
    FloatArray,
    IntArray,
    LabelFrame,
    PredictionFrame,
)
from watchkeeper.detectors.keys import Keys, keys_of
from watchkeeper.detectors.roster import Numbered, Roster
from watchkeeper.detectors.texts import Codes, Rows, Spans, Texts, Words, texts_of

_FEW = 64  # rows of which all columns are looked at together


class Member(NamedTuple):
    """One version of one model."""

    model: str
    version: str


class Members(Numbered[Member]):
    """Members out of a roster, with their models."""

    roster: MemberRoster

    @cached_property
    def models(self) -> Numbered[str]:
        """The model of each."""
        return self.roster.models_of(self.numbers)


class MemberRoster(Roster[Member]):
    """Members by number; `models` has their models."""

    def __init__(self, models: Roster[str]) -> None:
        super().__init__()
        self.models = models
        self._model: IntArray = np.zeros(16, dtype=np.int64)

    def join(self, member: Member, model: int) -> None:
        """The member of the next number, and the number of its model."""
        if len(self) == len(self._model):
            self._model = np.concatenate([self._model, np.zeros_like(self._model)])
        self._model[len(self)] = model
        self.add(member)

    def of(self, numbers: IntArray) -> Members:
        """The members of these numbers."""
        return self.named(numbers, Members)

    def models_of(self, numbers: IntArray) -> Numbered[str]:
        """The models of these members."""
        return self.models.of(self._model[numbers])


class _Block:
    """What the blocks share: choosing rows."""

    __slots__ = ()

    def take(self, rows: Rows) -> Self:
        """The chosen rows of every column."""
        kind: Any = type(self)
        chosen: Self = kind(*[_taken(getattr(self, name), rows) for name in _names(kind)])
        return chosen


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _taken(column: Any, rows: Rows) -> Any:
    """The chosen rows of a column; whatever else a block has stays as it is."""
    if isinstance(column, np.ndarray):
        return column[rows]
    if isinstance(column, Words | Spans):
        return column.take(rows)
    if isinstance(column, dict):
        return {name: _taken(each, rows) for name, each in column.items()}
    return column


@dataclass(frozen=True, slots=True)
class PredictionBlock(_Block):
    """Predictions of many members; columns as in `PredictionFrame`.

    `member` is the row's place in `members`. `key` and `entity_key` are the keys of `request_id`
    and `entity` (0: no entity). `numeric` and `categorical` hold every feature that some row has.
    """

    members: tuple[Member, ...]
    member: Codes
    at: FloatArray
    seq: IntArray
    key: Keys
    request_id: Texts
    entity_key: Keys
    entity: Texts
    duration_s: FloatArray
    status: IntArray
    label: Words
    score: FloatArray
    value: FloatArray
    output_valid: BoolArray
    numeric: dict[str, FloatArray]
    categorical: dict[str, Words]

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def of(cls, frame: PredictionFrame) -> PredictionBlock:
        """One member's frame as a block."""
        return cls(
            members=(Member(frame.model, frame.version),),
            member=np.zeros(len(frame), dtype=np.int32),
            at=frame.at,
            seq=frame.seq,
            key=keys_of(frame.request_id.tolist()),
            request_id=frame.request_id,
            entity_key=keys_of(frame.entity.tolist()),
            entity=frame.entity,
            duration_s=frame.duration_s,
            status=frame.status,
            label=Words.of(frame.label),
            score=frame.score,
            value=frame.value,
            output_valid=frame.output_valid,
            numeric=frame.numeric,
            categorical={name: Words.of(column) for name, column in frame.categorical.items()},
        )

    def frame(self, place: int, rows: Rows | None = None) -> PredictionFrame:
        """The frame of one member: all of its rows, or `rows`, which must be its own.

        Features that none of the rows has are left out.
        """
        mine = self.take(self.member == place if rows is None else rows)
        categorical = {
            name: words.texts()
            for name, words in mine.categorical.items()
            if (words.codes >= 0).any()
        }
        return PredictionFrame(
            model=self.members[place].model,
            at=mine.at,
            seq=mine.seq,
            version=self.members[place].version,
            request_id=texts_of(mine.request_id),
            entity=texts_of(mine.entity),
            duration_s=mine.duration_s,
            status=mine.status,
            label=mine.label.texts(),
            score=mine.score,
            value=mine.value,
            output_valid=mine.output_valid,
            numeric=_with_any(mine.numeric, len(mine)),
            categorical=categorical,
        )

    def frames(self) -> Iterable[PredictionFrame]:
        """The frames of all members that have rows, in order of their first."""
        return (self.frame(place) for place in dict.fromkeys(self.member.tolist()))


def _with_any(columns: dict[str, FloatArray], rows: int) -> dict[str, FloatArray]:
    """The columns that some row has a number in."""
    if rows > _FEW or not columns:
        return {name: column for name, column in columns.items() if not np.isnan(column).all()}
    there = ~np.isnan(np.array([*columns.values()])).all(axis=1)
    return dict(compress(columns.items(), there.tolist()))


@dataclass(frozen=True, slots=True)
class LabelBlock(_Block):
    """Truths about many models' answers; columns as in `LabelFrame`. `model` is the row's place in
    `models`, `key` that of `request_id`."""

    models: tuple[str, ...]
    model: Codes
    at: FloatArray
    seq: IntArray
    key: Keys
    request_id: Texts
    label: Words
    value: FloatArray
    source: Words | None = None

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def of(cls, frame: LabelFrame) -> LabelBlock:
        """One model's frame as a block."""
        return cls(
            models=(frame.model,),
            model=np.zeros(len(frame), dtype=np.int32),
            at=frame.at,
            seq=frame.seq,
            key=keys_of(frame.request_id.tolist()),
            request_id=frame.request_id,
            label=Words.of(frame.label),
            value=frame.value,
            source=None if frame.source is None else Words.of(frame.source),
        )

    def frame(self, place: int, rows: Rows | None = None) -> LabelFrame:
        """The frame of one model: all of its rows, or `rows`, which must be its own."""
        mine = self.take(self.model == place if rows is None else rows)
        return LabelFrame(
            model=self.models[place],
            at=mine.at,
            seq=mine.seq,
            request_id=texts_of(mine.request_id),
            label=mine.label.texts(),
            value=mine.value,
            source=None if mine.source is None else mine.source.texts(),
        )

    def frames(self) -> Iterable[LabelFrame]:
        """The frames of all models that have rows, in order of their first."""
        return (self.frame(place) for place in dict.fromkeys(self.model.tolist()))


Block = PredictionBlock | LabelBlock


def models_of(block: Block) -> tuple[tuple[str, ...], Codes]:
    """The models that a block names, and each row's place among them."""
    if isinstance(block, LabelBlock):
        return block.models, block.model
    members = block.members
    if isinstance(members, Members):
        return members.models, block.member
    return tuple(member.model for member in members), block.member


def present(codes: Codes, n: int) -> BoolArray:
    """Which codes some row has: a block may name what it has no row of."""
    seen = np.zeros(n, dtype=np.bool_)
    seen[codes] = True
    return seen
