"""The columns of an Arrow batch as those of a block; rows that are odd are left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from watchkeeper.daemon.transport.codec.arrow import Batch
from watchkeeper.daemon.transport.codec.arrow_rows import micros_of
from watchkeeper.daemon.transport.codec.columns import EARLIEST
from watchkeeper.daemon.transport.codec.features import wrong_names
from watchkeeper.daemon.transport.codec.fill import members_of, named
from watchkeeper.daemon.transport.codec.shapes import BulkKind
from watchkeeper.daemon.transport.codec.times import seconds_of
from watchkeeper.detectors.blocks import Block, LabelBlock, PredictionBlock
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.texts import Words
from watchkeeper.detectors.types import STATUS_CODES, BoolArray, FloatArray, IntArray, ObjectArray

_INT64 = float(2**63)
_LONGEST_ID = 256
_LONGEST_TEXT = 512
_KINDS = ("final", "provisional", "proxy")


class _Odd(Exception):
    """A column is of a type that is read row by row."""


def block_of(kind: BulkKind, batch: Batch, latest: float) -> tuple[list[Block], list[int]]:
    """The block of a batch, without `seq`, and the rows that are not in it."""
    n = batch.batch.num_rows
    if not n:
        return [], []
    columns = _Columns(batch.columns, n)
    try:
        block = _predictions(columns) if kind == "prediction" else _labels(columns)
        columns.check()
    except _Odd:
        return [], [*range(n)]
    columns.good &= (block.at >= EARLIEST) & (block.at <= latest)
    good = columns.good
    odd = np.flatnonzero(~good).tolist()
    if len(odd) == n:
        return [], odd
    return [block.take(good) if odd else block], odd


def _predictions(columns: _Columns) -> PredictionBlock:
    models, versions = columns.names("model_name"), columns.names("model_version")
    members, member = members_of(models, versions)
    requests, entities = columns.texts("request_id", True), columns.texts("entity_id", False)
    numeric, categorical = columns.features()
    score, value = columns.numbers("prediction.score"), columns.numbers("prediction.value")
    if columns.has("prediction.probabilities"):
        raise _Odd
    duration = columns.numbers("duration_s")
    columns.good &= ~(duration < 0)
    return PredictionBlock(
        members=members,
        member=member,
        at=columns.times(),
        seq=np.zeros(columns.n, dtype=np.int64),
        key=keys_of(requests.tolist()),
        request_id=requests,
        entity_key=keys_of(entities.tolist()),
        entity=entities,
        duration_s=duration,
        status=columns.status(),
        label=columns.words("prediction.label"),
        score=score,
        value=value,
        output_valid=~((score < 0) | (score > 1)) & ~np.isinf(value),
        numeric=numeric,
        categorical=categorical,
    )


def _labels(columns: _Columns) -> LabelBlock:
    models = columns.names("model_name")
    requests = columns.texts("request_id", True)
    return LabelBlock(
        models=models.words,
        model=models.codes,
        at=columns.times(),
        seq=np.zeros(columns.n, dtype=np.int64),
        key=keys_of(requests.tolist()),
        request_id=requests,
        label=columns.words("label"),
        value=columns.numbers("value"),
        source=columns.words("source").if_any(),
    )


class _Columns:
    """The columns of a batch; `good` are the rows that nothing was found wrong with so far."""

    def __init__(self, columns: Mapping[str, Any], n: int) -> None:
        import pyarrow as arrow

        self._arrow = arrow
        self._columns = columns
        self.n = n
        self.good: BoolArray = np.ones(n, dtype=np.bool_)

    def has(self, name: str) -> bool:
        """Whether some row has a value."""
        return name in self._columns and self._columns[name].null_count < self.n

    def check(self) -> None:
        """Leaves rows that are wrong in what no block holds, or that only the general way reads."""
        self.texts("id", True)
        # A struct is flat by now: these are of another type.
        if self.has("features") or self.has("prediction"):
            raise _Odd
        self.texts("source", False)
        for name in ("error_type", "traceparent"):
            self._check_words(name, lambda word: len(word) <= _LONGEST_TEXT)
        self._check_words("kind", _KINDS.__contains__)
        rate = self.numbers("sample_rate")
        self.good &= ~((rate <= 0) | (rate > 1))
        for name in ("segment", "schema"):
            if self.has(name):
                self.good &= ~self._valid(self._columns[name])

    def _check_words(self, name: str, right: Callable[[str], bool]) -> None:
        if self.has(name):
            words = self.words(name)
            fine = np.array([right(word) for word in words.words] + [True])
            self.good &= fine[words.codes]  # the last one is that of no text

    def _valid(self, column: Any) -> BoolArray:
        valid: BoolArray = column.is_valid().to_numpy(zero_copy_only=False)
        return valid

    def _plain(self, name: str) -> Any | None:
        """A column of text; None where no row has any."""
        if not self.has(name):
            return None
        column, types = self._columns[name], self._arrow.types
        if types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not (types.is_string(column.type) or types.is_large_string(column.type)):
            raise _Odd
        return column

    def texts(self, name: str, needed: bool) -> ObjectArray:
        """A column of ids."""
        column = self._plain(name)
        if column is None:
            if needed:
                raise _Odd
            return np.full(self.n, None)
        texts: ObjectArray = column.to_numpy(zero_copy_only=False)
        values = texts.tolist()
        if None in values:
            if needed:
                self.good &= self._valid(column)
            values = ["-" if value is None else value for value in values]
            texts = texts.copy()
        size = np.fromiter(map(len, values), np.int64, self.n)
        self.good &= (size > 0) & (size <= _LONGEST_ID)
        if "\0" in "".join(values):
            self.good &= np.array(["\0" not in value for value in values])
        return texts

    def words(self, name: str) -> Words:
        """A column of text that repeats."""
        column = self._plain(name)
        if column is None:
            return Words.missing(self.n)
        coded = column.dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        words = tuple(coded.dictionary.to_pylist())
        wrong = [i for i, word in enumerate(words) if "\0" in word]
        if wrong:
            self.good &= ~np.isin(codes, wrong)
        return Words(codes, words)

    def names(self, name: str) -> Words:
        """A column of names."""
        words = self.words(name)
        if not words.words:
            raise _Odd
        self.good &= (words.codes >= 0) & named(words)
        return words

    def numbers(self, name: str) -> FloatArray:
        """A column of numbers; null is NaN. Rows with NaN or an infinite number are not good."""
        if not self.has(name):
            return np.full(self.n, np.nan)
        column, types = self._columns[name], self._arrow.types
        features = name.startswith("features.")
        if not (
            types.is_floating(column.type)
            or types.is_integer(column.type)
            or (features and types.is_boolean(column.type))
        ):
            raise _Odd
        numbers: FloatArray = column.cast(self._arrow.float64(), safe=False).to_numpy(
            zero_copy_only=False
        )
        wrong = ~np.isfinite(numbers)
        if wrong.any():
            self.good &= ~(wrong & self._valid(column))
        if types.is_integer(column.type):
            self.good &= ~(np.abs(numbers) >= _INT64)
        return numbers

    def times(self) -> FloatArray:
        """The rows' times in seconds."""
        if not self.has("time"):
            raise _Odd
        column = self._columns["time"]
        if not self._arrow.types.is_timestamp(column.type):
            texts = self.texts("time", True).tolist()
            return seconds_of([text or "" for text in texts])
        if column.type.tz is None:
            raise _Odd
        self.good &= self._valid(column)
        value = column.cast(self._arrow.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        # What is not of our time is read row by row; a product may not overflow.
        seconds = value // _UNITS[column.type.unit]
        self.good &= (seconds >= 0) & (seconds < _YEAR_2200)
        micros = micros_of(np.where(self.good, value, 0), column.type.unit)
        at: FloatArray = micros / 1e6
        return at

    def status(self) -> IntArray:
        """The codes of `status`."""
        words = self.words("status")
        codes = np.array([STATUS_CODES.get(word, -1) for word in words.words] + [0], dtype=np.int64)
        status: IntArray = codes[words.codes]  # the last one is that of no text
        self.good &= status >= 0
        return status

    def features(self) -> tuple[dict[str, FloatArray], dict[str, Words]]:
        """The features that some row has."""
        numeric: dict[str, FloatArray] = {}
        categorical: dict[str, Words] = {}
        present = [n for n in self._columns if n.startswith("features.") and self.has(n)]
        if wrong_names(dict.fromkeys(name[9:] for name in present)) is not None:
            raise _Odd
        for name in sorted(present):
            type_ = self._columns[name].type
            if self._arrow.types.is_primitive(type_):
                numeric[name[9:]] = self.numbers(name)
            else:
                categorical[name[9:]] = self.words(name)
        return numeric, categorical


_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_YEAR_2200 = 7_258_118_400
