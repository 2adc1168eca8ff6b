"""Feature dictionaries to typed columns, without Python per event and feature."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import numpy as np

from watchkeeper.daemon.transport.codec.packing import is_dense, packed
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.daemon.transport.codec.scattered import scattered
from watchkeeper.detectors.types import FloatArray, ObjectArray

MOST_FEATURES = 2_000  # of one event
LONGEST_NAME = 128

_INT64 = 2**63
_FEW = 16  # rows that are not worth a column at a time
_Values = Sequence[Any]
_Wrong = list[tuple[int, Refused]]
_Group = tuple[tuple[str, ...], list[int]]  # names, and the places of rows that have just these


@dataclass(frozen=True, slots=True)
class Features:
    """The feature columns of one frame.

    A feature that is a number in some rows and a string in others stands in both; one that is
    null in every row stands in neither.
    """

    numeric: dict[str, FloatArray] = field(default_factory=dict)
    categorical: dict[str, ObjectArray] = field(default_factory=dict)


def feature_columns(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[list[int], Features, _Wrong]]:
    """The features of rows as columns: which rows, their columns, and the rows refused. Rows whose
    features differ much are in parts of their own, see `packing`."""
    names = rows[0].keys()
    if all(map(names.__eq__, map(dict.keys, rows))) and wrong_names(names) is None:
        yield _made(rows, list(range(len(rows))), full=True)
        return
    every, there = dict.fromkeys(chain.from_iterable(rows)).keys(), sum(map(len, rows))
    if is_dense(len(every), len(rows), there) and wrong_names(every) is None:
        yield _made(rows, list(range(len(rows))), full=len(rows) * len(every) <= 2 * there)
        return
    refused, groups = _grouped(rows)
    yield [], Features(), refused
    for part in packed((names, len(places), places) for names, places in groups):
        places = sorted(chain.from_iterable(part.items))
        yield _made(rows, places, full=len(places) * len(part.names) <= 2 * part.there)


def _grouped(rows: Sequence[dict[str, Any]]) -> tuple[_Wrong, list[_Group]]:
    """The rows with names that may not be, and the others by their names."""
    places: dict[tuple[str, ...], list[int]] = {}
    for i, names in enumerate(map(tuple, rows)):
        places.setdefault(names, []).append(i)
    refused: _Wrong = []
    groups: list[_Group] = []
    for group in places.items():
        wrong = wrong_names(group[0])
        if wrong is None:
            groups.append(group)
        else:
            refused += zip(group[1], repeat(wrong))
    return sorted(refused, key=itemgetter(0)), groups


def wrong_names(names: Collection[str]) -> Refused | None:
    """Why an event may not have features of these names."""
    if len(names) > MOST_FEATURES:
        said = f"{len(names)} features, more than {MOST_FEATURES}"
        return Refused("too_large", said, "$.features")
    for name in names:
        if not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
            said = f"a feature's name has 1 to {LONGEST_NAME} printable characters"
            return Refused("bad_name", said, "$.features")
    return None


def _made(
    rows: Sequence[dict[str, Any]], places: list[int], full: bool
) -> tuple[list[int], Features, _Wrong]:
    """The columns of the rows at these places, but for those with an integer that is too large;
    where they are `full`, few values are missing."""
    chosen = [rows[i] for i in places]
    huge: dict[int, str] = {}
    if full and len(chosen) >= _FEW:
        features = _columns(chosen, huge)
    else:
        features = Features(*scattered(chosen, huge))
    if not huge:
        return places, features, []
    wrong = [(places[i], _too_large(name)) for i, name in sorted(huge.items())]
    kept = [place for i, place in enumerate(places) if i not in huge]
    again = _made(rows, kept, full) if kept else ([], Features(), [])
    return again[0], again[1], wrong


def _too_large(name: str) -> Refused:
    return Refused("number_out_of_range", "integer beyond 64 bits", f"$.features.{name}")


def _columns(rows: Sequence[dict[str, Any]], huge: dict[int, str]) -> Features:
    """The columns of rows, one after the other, and the rows with an integer that is too large."""
    features = Features()
    for name, values in sorted(_table(rows)):
        _add_column(features, huge, name, values)
    return features


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
