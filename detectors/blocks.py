"""Blocks: a micro-batch of one event kind of many models, as columns of equal length n.

A frame is what one version of one model has of it (`PredictionBlock.frame`). Blocks exist so that
ten thousand models cost no more than one: whatever is done for every event is done to blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import (
    BoolArray,
    FloatArray,
    IntArray,
    LabelFrame,
    ObjectArray,
    PredictionFrame,
)
from watchkeeper.detectors.keys import Keys, keys_of
from watchkeeper.detectors.roster import Numbered, Roster

Codes = npt.NDArray[np.int32]
Rows = IntArray | BoolArray | slice


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


@dataclass(frozen=True, slots=True)
class Words:
    """A column of text that repeats: a code a row into `words`; -1 is no text.

    `words` may hold some that no row has, and none twice.
    """

    codes: Codes
    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, texts: Sequence[str | None] | ObjectArray) -> Words:
        """The column of these texts."""
        values = texts.tolist() if isinstance(texts, np.ndarray) else texts
        words = tuple(word for word in dict.fromkeys(values) if word is not None)
        code: dict[str | None, int] = {word: i for i, word in enumerate(words)}
        code[None] = -1
        return cls(np.fromiter(map(code.__getitem__, values), np.int32, len(values)), words)

    @classmethod
    def missing(cls, n: int) -> Words:
        """A column without any text."""
        return cls(np.full(n, -1, dtype=np.int32), ())

    def take(self, rows: Rows) -> Words:
        """The chosen rows."""
        return Words(self.codes[rows], self.words)

    def if_any(self) -> Words | None:
        """The column; None where no row has a text."""
        return self if (self.codes >= 0).any() else None

    def texts(self) -> ObjectArray:
        """The texts themselves (object, str | None)."""
        known = np.empty(len(self.words) + 1, dtype=np.object_)
        known[: len(self.words)] = self.words
        return known[self.codes]  # the last one, None, is that of -1

    def keys(self) -> Keys:
        """The key of each row's text; 0 where there is none."""
        return self.known_keys()[self.codes + 1]

    def known_keys(self) -> Keys:
        """The key of each word, behind a 0 for none: that of code c is at c + 1."""
        return _few(self.words) if len(self.words) <= _FEW else _with_none(self.words)


def _with_none(words: tuple[str, ...]) -> Keys:
    return np.concatenate(([np.uint64(0)], keys_of(words)))


_FEW = 64
_few = lru_cache(maxsize=4_096)(_with_none)


@dataclass(frozen=True, slots=True)
class Spans:
    """A column of text that rarely repeats: UTF-8 in a buffer, [start, end) a row; where start
    is negative there is no text."""

    buffer: bytes
    start: IntArray
    end: IntArray

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def nothing(cls, n: int) -> Spans:
        """A column without any text."""
        none = np.full(n, -1, dtype=np.int64)
        return cls(b"", none, none)

    def take(self, rows: Rows) -> Spans:
        """The chosen rows."""
        return Spans(self.buffer, self.start[rows], self.end[rows])

    def packed(self) -> Spans:
        """The same texts one behind the other, in a buffer that holds nothing else."""
        return Spans(self.data(), *behind(self.start, self.end))

    def data(self) -> bytes:
        """The bytes of all texts, one behind the other."""
        if len(self) <= _FEW:
            whole, each = self.buffer, zip(self.start.tolist(), self.end.tolist(), strict=True)
            return b"".join([whole[start:end] for start, end in each if start >= 0])
        begins, ends = behind(self.start, self.end)
        given = begins >= 0
        lengths = (ends - begins)[given]
        places = np.repeat(self.start[given] - begins[given], lengths)
        places += np.arange(len(places))
        return np.frombuffer(self.buffer, dtype=np.uint8)[places].tobytes()

    def texts(self) -> ObjectArray:
        """The texts themselves (object, str | None)."""
        column = np.empty(len(self), dtype=np.object_)
        whole = self.buffer
        for i, (start, end) in enumerate(zip(self.start.tolist(), self.end.tolist(), strict=True)):
            column[i] = whole[start:end].decode("utf-8", "surrogatepass") if start >= 0 else None
        return column


def behind(start: IntArray, end: IntArray) -> tuple[IntArray, IntArray]:
    """Where texts begin and end once they stand one behind the other; -1 where there is none."""
    given = start >= 0
    lengths = np.where(given, end - start, 0)
    ends = np.cumsum(lengths)
    return np.where(given, ends - lengths, -1), np.where(given, ends, -1)


Texts = ObjectArray | Spans


def texts_of(column: Texts | Words) -> ObjectArray:
    """A column of text as objects, however it is held."""
    return column if isinstance(column, np.ndarray) else column.texts()


class _Block:
    """What the blocks share: choosing rows."""

    __slots__ = ()

    def take(self, rows: Rows) -> Self:
        """The chosen rows of every column."""
        changed: dict[str, Any] = {}
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                changed[each.name] = value[rows]
            elif isinstance(value, Words | Spans):
                changed[each.name] = value.take(rows)
            elif isinstance(value, dict):
                changed[each.name] = {name: _taken(column, rows) for name, column in value.items()}
        return replace(self, **changed)  # type: ignore[type-var]


def _taken(column: Any, rows: Rows) -> Any:
    return column.take(rows) if isinstance(column, Words) else column[rows]


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
            numeric={n: c for n, c in mine.numeric.items() if not np.isnan(c).all()},
            categorical=categorical,
        )

    def frames(self) -> Iterable[PredictionFrame]:
        """The frames of all members that have rows, in order of their first."""
        return (self.frame(place) for place in dict.fromkeys(self.member.tolist()))


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
