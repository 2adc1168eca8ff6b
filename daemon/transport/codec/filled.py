"""Decoded rows of one shape as columns, without Python per event and feature."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, count
from typing import Any

import numpy as np
from msgspec.structs import astuple

from watchkeeper.daemon.transport.codec.shapes import BOTH, NULL, NUMBER, WORD, BulkKind, Reader
from watchkeeper.detectors.texts import Words
from watchkeeper.detectors.types import FloatArray

Column = list[Any]


class _Kept:
    """Values as they are."""

    def __init__(self, capacity: int) -> None:
        self.values: Column = []

    def add(self, begin: int, values: Column) -> None:
        """Takes in the values of the rows from `begin` on."""
        self.values += values


class _Numbers:
    """Numbers; None is NaN."""

    def __init__(self, capacity: int) -> None:
        self.values = np.empty(capacity)

    def add(self, begin: int, values: Column) -> None:
        """Takes in the values of the rows from `begin` on."""
        self.values[begin : begin + len(values)] = values


class _Coded:
    """Texts as codes; all in C, also where a text is new."""

    def __init__(self, capacity: int) -> None:
        self.codes = np.empty(capacity, dtype=np.int32)
        self._code: defaultdict[str | None, int] = defaultdict(count().__next__)
        self._code[None] = -1

    def add(self, begin: int, values: Column) -> None:
        """Takes in the values of the rows from `begin` on."""
        codes = map(self._code.__getitem__, values)
        end = begin + len(values)
        self.codes[begin:end] = np.fromiter(codes, np.int32, len(values))

    def words(self, n: int) -> Words:
        """The column of the first rows."""
        return Words(self.codes[:n], tuple(self._code)[1:])  # type: ignore[arg-type]


_Sink = _Kept | _Numbers | _Coded
_SINKS: Mapping[str, type[_Sink]] = {
    "model_name": _Coded,
    "model_version": _Coded,
    "label": _Coded,
    "source": _Coded,
    "duration_s": _Numbers,
    "score": _Numbers,
    "value": _Numbers,
}
_FEATURES: Mapping[int, type[_Sink]] = {NUMBER: _Numbers, WORD: _Coded, BOTH: _Kept, NULL: _Kept}
_UNREAD: Mapping[BulkKind, frozenset[str]] = {
    "prediction": frozenset(
        {"id", "error_type", "source", "segment", "sample_rate", "traceparent"}
    ),
    "label": frozenset({"id"}),
}


class Filled:
    """The values of rows, column by column. The rows need not be kept."""

    def __init__(self, reader: Reader, capacity: int) -> None:
        self.reader = reader
        self._rows = 0
        unread = _UNREAD[reader.shape.kind]
        self._fields = {
            name: _SINKS.get(name, _Kept)(capacity) for name in reader.fields if name not in unread
        }
        self._answers = {name: _SINKS.get(name, _Kept)(capacity) for name in reader.answers}
        features = reader.shape.features
        self._features = {name: _FEATURES[type_](capacity) for name, type_ in features}

    def __len__(self) -> int:
        return self._rows

    def add(self, rows: Sequence[Any]) -> None:
        """Takes in decoded rows."""
        begin, fields = self._rows, self.reader.fields
        flat = _fill(self._fields, fields, begin, rows)
        if "prediction" in fields:
            structs = flat[fields.index("prediction") :: len(fields)]
            _fill(self._answers, self.reader.answers, begin, structs)
        if "features" in fields:
            structs = flat[fields.index("features") :: len(fields)]
            _fill(self._features, tuple(self._features), begin, structs)
        self._rows += len(rows)

    def kept(self, name: str) -> Column | None:
        """A field's values as they are; None where the shape has none."""
        sink = self._fields.get(name) or self._answers.get(name)
        return sink.values if isinstance(sink, _Kept) else None

    def numbers(self, name: str) -> FloatArray:
        """A field's numbers."""
        sink = self._fields.get(name) or self._answers.get(name)
        return (
            sink.values[: self._rows] if isinstance(sink, _Numbers) else np.full(self._rows, np.nan)
        )

    def words(self, name: str) -> Words:
        """A field's texts."""
        sink = self._fields.get(name) or self._answers.get(name)
        return sink.words(self._rows) if isinstance(sink, _Coded) else Words.missing(self._rows)

    def features(self) -> tuple[dict[str, FloatArray], dict[str, Words]]:
        """The features as numbers and as words; one that is both stands in both."""
        numeric: dict[str, FloatArray] = {}
        categorical: dict[str, Words] = {}
        types = dict(self.reader.shape.features)
        for name, sink in self._features.items():
            if isinstance(sink, _Numbers):
                numeric[name] = sink.values[: self._rows]
            elif isinstance(sink, _Coded):
                categorical[name] = sink.words(self._rows)
            elif types[name] == BOTH:
                cells = [None if type(each) is str else each for each in sink.values]
                numeric[name] = np.array(cells, dtype=np.float64)
                categorical[name] = Words.of([e if type(e) is str else None for e in sink.values])
        return numeric, categorical


def _fill(
    sinks: Mapping[str, _Sink], names: Sequence[str], begin: int, structs: Sequence[Any]
) -> Column:
    """Every field of Structs into its column; gives all values, row by row."""
    flat = [*chain.from_iterable(map(astuple, structs))]
    for i, name in enumerate(names):
        if name in sinks:
            sinks[name].add(begin, flat[i :: len(names)])
    return flat
