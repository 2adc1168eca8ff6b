"""Decoded rows of one shape to the columns of a block."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, count
from typing import Any

import numpy as np
from msgspec.structs import astuple

from watchkeeper.daemon.transport.codec.columns import EARLIEST, from_probabilities, is_distribution
from watchkeeper.daemon.transport.codec.dense import dense
from watchkeeper.daemon.transport.codec.features import objects
from watchkeeper.daemon.transport.codec.json import NAME
from watchkeeper.daemon.transport.codec.shapes import BOTH, NUMBER, WORD, Reader
from watchkeeper.daemon.transport.codec.times import seconds_of
from watchkeeper.detectors.blocks import Block, Codes, LabelBlock, Member, PredictionBlock, Words
from watchkeeper.detectors.keys import Keys, keys_of, mixed
from watchkeeper.detectors.types import (
    STATUS_CODES,
    BoolArray,
    FloatArray,
    IntArray,
    ObjectArray,
)

_INT64 = float(2**63)
Column = list[Any]


class Filled:
    """The values of rows, column by column; a column that the shape has not is None."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._rows: list[Any] = []
        self._answers: list[Any] = []
        self._features: list[Any] = []

    def add(self, rows: Sequence[Any]) -> None:
        """Takes in decoded rows, which need not be kept afterwards."""
        flat = [*chain.from_iterable(map(astuple, rows))]
        self._rows += flat
        width = len(self.reader.fields)
        for name, cells in (("prediction", self._answers), ("features", self._features)):
            if name in self.reader.fields:
                structs = flat[self.reader.fields.index(name) :: width]
                cells += chain.from_iterable(map(astuple, structs))

    def __len__(self) -> int:
        return len(self._rows) // len(self.reader.fields)

    def column(self, name: str) -> Column | None:
        """One field of every row."""
        fields = self.reader.fields
        return self._rows[fields.index(name) :: len(fields)] if name in fields else None

    def answer(self, name: str) -> Column | None:
        """One field of every row's prediction."""
        answers = self.reader.answers
        if name not in answers or "prediction" not in self.reader.fields:
            return None
        return self._answers[answers.index(name) :: len(answers)]

    def features(self, *types: int) -> list[tuple[str, Column]]:
        """The features of these types with their values."""
        known = self.reader.shape.features
        return [
            (name, self._features[i :: len(known)])
            for i, (name, type_) in enumerate(known)
            if type_ in types
        ]


def prediction_block(
    filled: Filled, seq: IntArray, latest: FloatArray
) -> tuple[list[Block], BoolArray | None]:
    """The block of predictions, and which rows are not in it; None: all are."""
    n = len(filled)
    at, good = _times(filled, latest)
    models, versions = _words(filled.column("model_name")), _words(filled.column("model_version"))
    good &= _named(models) & _named(versions)
    members, member = _members(models, versions)
    numeric, categorical = _features(filled, good)
    label, score, value, valid = _answers(filled, n)
    requests = filled.column("request_id") or []
    entities = filled.column("entity_id")
    status = filled.column("status")
    block = PredictionBlock(
        members=members,
        member=member,
        at=at,
        seq=seq,
        key=keys(requests),
        request_id=objects(requests),
        entity_key=np.zeros(n, dtype=np.uint64) if entities is None else keys_of(entities),
        entity=np.full(n, None) if entities is None else objects(entities),
        duration_s=_floats(filled.column("duration_s"), n),
        status=np.zeros(n, dtype=np.int64) if status is None else _status(status),
        label=label,
        score=score,
        value=value,
        output_valid=valid,
        numeric=numeric,
        categorical=categorical,
    )
    if good.all():
        return dense(block), None
    return (dense(block.take(good)) if good.any() else []), ~good


def label_block(
    filled: Filled, seq: IntArray, latest: FloatArray
) -> tuple[list[Block], BoolArray | None]:
    """The block of labels, and which rows are not in it; None: all are."""
    n = len(filled)
    at, good = _times(filled, latest)
    models = _words(filled.column("model_name"))
    good &= _named(models)
    requests = filled.column("request_id") or []
    label = filled.column("label")
    block = LabelBlock(
        models=models.words,
        model=models.codes,
        at=at,
        seq=seq,
        key=keys(requests),
        request_id=objects(requests),
        label=Words.missing(n) if label is None else _words(label),
        value=_floats(filled.column("value"), n),
    )
    if good.all():
        return [block], None
    return ([block.take(good)] if good.any() else []), ~good


def _times(filled: Filled, latest: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Every row's time, and whether it can be right."""
    at = seconds_of(filled.column("time") or [])
    return at, (at >= EARLIEST) & (at <= latest)  # NaN, no time, is neither


def _words(texts: Column | None) -> Words:
    """The column of these texts; all in C, also where a text is new."""
    code: defaultdict[str | None, int] = defaultdict(count().__next__)
    code[None] = -1
    codes = np.fromiter(map(code.__getitem__, texts or ()), np.int32, len(texts or ()))
    return Words(codes, tuple(code)[1:])  # type: ignore[arg-type]


@functools.lru_cache(maxsize=65_536)
def _is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


def _named(words: Words) -> BoolArray | np.bool_:
    """Whether a row's text may be a name; each is looked at once."""
    right = np.fromiter(map(_is_name, words.words), np.bool_, len(words.words))
    return np.bool_(True) if right.all() else right[words.codes]


def _members(models: Words, versions: Words) -> tuple[tuple[Member, ...], Codes]:
    """Each row's model and version as one code."""
    many = len(versions.words)
    if many == 1:
        return tuple(Member(model, versions.words[0]) for model in models.words), models.codes
    pair = models.codes.astype(np.int64) * many + versions.codes
    found, member = np.unique(pair, return_inverse=True)
    members = tuple(
        Member(models.words[each // many], versions.words[each % many]) for each in found.tolist()
    )
    return members, member.astype(np.int32)


def _floats(values: Column | None, n: int) -> FloatArray:
    """A column of numbers; None is NaN."""
    if values is None:
        return np.full(n, np.nan)
    return np.array(values, dtype=np.float64)


def _status(values: Column) -> IntArray:
    return np.fromiter(map(STATUS_CODES.__getitem__, values), np.int64, len(values))


def _features(filled: Filled, good: BoolArray) -> tuple[dict[str, FloatArray], dict[str, Words]]:
    """The features that some row has. Rows with a number that may be beyond 64 bits are not
    good: a double no longer says whether it was an integer."""
    n = len(filled)
    numbers = filled.features(NUMBER)
    mixed_ = filled.features(BOTH)
    table = np.empty((len(numbers) + len(mixed_), n))
    for row, (_, values) in zip(table, numbers, strict=False):
        row[:] = values
    for row, (_, values) in zip(table[len(numbers) :], mixed_, strict=True):
        row[:] = [None if type(each) is str else each for each in values]
    if len(table):
        good &= ~(np.abs(table) >= _INT64).any(axis=0)
    numeric = {
        name: row
        for row, (name, _) in zip(table, numbers + mixed_, strict=True)
        if not np.isnan(row).all()
    }
    categorical = {name: _words(values) for name, values in filled.features(WORD)}
    for name, values in mixed_:
        categorical[name] = _words([each if type(each) is str else None for each in values])
    return numeric, {name: words for name, words in categorical.items() if words.words}


def _answers(filled: Filled, n: int) -> tuple[Words, FloatArray, FloatArray, BoolArray]:
    labels = filled.answer("label")
    score, value = _floats(filled.answer("score"), n), _floats(filled.answer("value"), n)
    valid = ~((score < 0) | (score > 1)) & ~np.isinf(value)
    probabilities = filled.answer("probabilities") or []
    if any(probabilities):
        texts: ObjectArray = np.full(n, None) if labels is None else objects(labels)
        for i, each in enumerate(probabilities):
            if each:
                valid[i] &= is_distribution(each)
                from_probabilities(each, i, texts, score)
        labels = texts.tolist()
    return Words.missing(n) if labels is None else _words(labels), score, value, valid


def keys(texts: Sequence[str]) -> Keys:
    """As `keys_of`, for texts none of which is missing; quick where all have one length."""
    whole = "".join(texts)
    size, rest = divmod(len(whole), max(len(texts), 1))
    if rest or not whole.isascii() or [*map(len, texts)].count(size) != len(texts):
        return keys_of(texts)
    padded = np.zeros((len(texts), -(-size // 8) * 8), dtype=np.uint8)
    padded[:, :size] = np.frombuffer(whole.encode(), dtype=np.uint8).reshape(-1, size)
    return mixed(padded.view("<u8"), np.full(len(texts), size))
