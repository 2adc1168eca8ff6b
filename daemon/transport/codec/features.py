"""Feature dictionaries to typed columns, without Python per event and feature."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import numpy as np

from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.detectors.types import FloatArray, ObjectArray

# One event may have so many features; so many different ones may stand in one frame, which bounds
# what a flood of new names can cost. What has more of them goes on in another frame.
MOST_FEATURES = 2_000
MOST_COLUMNS = 4_096
LONGEST_NAME = 128

_INT64 = 2**63
_Values = Sequence[Any]
_Wrong = list[tuple[int, Refused]]


@dataclass(frozen=True, slots=True)
class Features:
    """The feature columns of one frame.

    A feature that is a number in some rows and a string in others stands in both; one that is
    null in every row stands in neither.
    """

    numeric: dict[str, FloatArray] = field(default_factory=dict)
    categorical: dict[str, ObjectArray] = field(default_factory=dict)


def feature_columns(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[list[int], Features, _Wrong]]:
    """The features of rows as columns: which rows, their columns, and the rows refused."""
    names = rows[0].keys()
    if all(map(names.__eq__, map(dict.keys, rows))) and wrong_names(rows[0]) is None:
        yield _columns(rows, list(range(len(rows))))
        return
    refused, parts = _cut(rows)
    yield [], Features(), refused
    for part in parts:
        yield _columns(rows, part)


def _cut(rows: Sequence[dict[str, Any]]) -> tuple[_Wrong, list[list[int]]]:
    """The rows with names that may not be, and the others in parts of `MOST_COLUMNS` names."""
    refused: _Wrong = []
    parts: list[list[int]] = [[]]
    known: set[str] = set()
    for i, row in enumerate(rows):
        if not row.keys() <= known:
            wrong = wrong_names(row)
            if wrong is not None:
                refused.append((i, wrong))
                continue
            if len(known) + len(row.keys() - known) > MOST_COLUMNS:
                parts.append([])
                known.clear()
            known.update(row)
        parts[-1].append(i)
    return refused, [part for part in parts if part]


def wrong_names(row: Mapping[str, Any]) -> Refused | None:
    if len(row) > MOST_FEATURES:
        said = f"{len(row)} features, more than {MOST_FEATURES}"
        return Refused("too_large", said, "$.features")
    for name in row:
        if not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
            said = f"a feature's name has 1 to {LONGEST_NAME} printable characters"
            return Refused("bad_name", said, "$.features")
    return None


def _columns(
    rows: Sequence[dict[str, Any]], places: list[int]
) -> tuple[list[int], Features, _Wrong]:
    chosen = [rows[i] for i in places]
    features = Features()
    huge: dict[int, str] = {}
    for name, values in sorted(_table(chosen)):
        _add_column(features, huge, name, values)
    if not huge:
        return places, features, []
    wrong = [(places[i], _too_large(name)) for i, name in sorted(huge.items())]
    kept = [place for i, place in enumerate(places) if i not in huge]
    again = _columns(rows, kept) if kept else ([], Features(), [])
    return again[0], again[1], wrong


def _too_large(name: str) -> Refused:
    return Refused("number_out_of_range", "integer beyond 64 bits", f"$.features.{name}")


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, _Values]]:
    """Every feature's name and values; None where a row has none."""
    names = tuple(rows[0])
    if len(names) > 1 and set(map(len, rows)) == {len(names)}:
        try:
            return zip(names, zip(*map(itemgetter(*names), rows), strict=True), strict=True)
        except KeyError:
            pass  # as many names, but others: the slower way
    every = dict.fromkeys(chain.from_iterable(rows))
    return ((name, tuple(map(dict.get, rows, repeat(name)))) for name in every)


def _add_column(features: Features, huge: dict[int, str], name: str, values: _Values) -> None:
    try:
        column = np.frombuffer(array("d", values), dtype=np.float64)
    except TypeError:
        _add_mixed(features, huge, name, values)
        return
    except OverflowError:
        huge.update((i, name) for i in _beyond(values))
        return
    if (np.abs(column) >= _INT64).any():
        huge.update((i, name) for i in _beyond(values))
    features.numeric[name] = column


def _add_mixed(features: Features, huge: dict[int, str], name: str, values: _Values) -> None:
    """A column with strings or nulls in it."""
    types = set(map(type, values)) - {type(None)}
    if types == {str}:
        features.categorical[name] = objects(values)
        return
    beyond = list(_beyond(values)) if int in types else []
    if beyond:
        huge.update((i, name) for i in beyond)
        return
    if str in types:
        features.categorical[name] = objects([v if type(v) is str else None for v in values])
        values = [None if type(v) is str else v for v in values]
    if types - {str}:
        features.numeric[name] = floats(values)


def _beyond(values: _Values) -> Iterator[int]:
    """The places of integers that do not fit 64 bits."""
    return (i for i, v in enumerate(values) if type(v) is int and not -_INT64 <= v < _INT64)


def objects(values: _Values) -> ObjectArray:
    """A column of strings and None."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def floats(values: _Values) -> FloatArray:
    """A column of numbers; None is NaN."""
    if values.count(None) == len(values):
        return np.full(len(values), np.nan)
    try:
        return np.frombuffer(array("d", values), dtype=np.float64)
    except TypeError:
        return np.array(values, dtype=np.float64)
