"""Features of rows that have different ones, as columns: in time that is linear in their values.

All columns of a kind are made at once, each a row of one table: columns of few values each would
else take far more time than the values.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat
from typing import Any

import numpy as np

from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray, ObjectArray

_Columns = tuple[dict[str, FloatArray], dict[str, ObjectArray]]

_INT64 = 2**63
_NULL, _NUMBER, _TEXT = range(3)
_KINDS: Mapping[type, int] = {type(None): _NULL, str: _TEXT}


@dataclass(frozen=True, slots=True)
class _Cells:
    """Values with their columns and rows."""

    values: Sequence[Any]
    column: IntArray
    row: IntArray

    def chosen(self, which: BoolArray) -> _Cells:
        """Those of the chosen ones."""
        values = [*compress(self.values, which.tolist())]
        return _Cells(values, self.column[which], self.row[which])


def scattered(rows: Sequence[dict[str, Any]], huge: dict[int, str]) -> _Columns:
    """The numeric and the categorical features of rows. `huge` gets the rows with an integer that
    is too large, each with the last name of such a one; the columns are of no use then."""
    names = sorted(dict.fromkeys(chain.from_iterable(rows)))
    cells = _cells(rows, names)
    kinds = _kinds(cells.values)
    if kinds is None:
        numbers, texts = cells, None
    else:
        numbers, texts = cells.chosen(kinds == _NUMBER), cells.chosen(kinds == _TEXT)
    for at in _beyond(numbers.values):
        row, name = int(numbers.row[at]), names[numbers.column[at]]
        huge[row] = max(name, huge.get(row, ""))
    if huge:
        return {}, {}
    values = np.array(array("d", numbers.values))
    numeric = _table(names, numbers, values, np.full(len(rows), np.nan))
    if texts is None:
        return numeric, {}
    nothing = np.full(len(rows), None)
    return numeric, _table(names, texts, np.array(texts.values, dtype=np.object_), nothing)


def _cells(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> _Cells:
    number = dict(zip(names, range(len(names)), strict=True)).__getitem__
    values = [*chain.from_iterable(map(dict.values, rows))]
    column = np.fromiter(map(number, chain.from_iterable(rows)), np.int64, len(values))
    return _Cells(values, column, np.repeat(np.arange(len(rows)), [*map(len, rows)]))


def _kinds(values: Sequence[Any]) -> IntArray | None:
    """What each value is; None: all are numbers."""
    types = {*map(type, values)}
    if types.isdisjoint(_KINDS):
        return None
    kinds = map(_KINDS.get, map(type, values), repeat(_NUMBER))
    return np.fromiter(kinds, np.int64, len(values))


def _beyond(values: Sequence[Any]) -> list[int]:
    """The places of integers that do not fit 64 bits."""
    if int not in {*map(type, values)}:
        return []
    return [i for i, v in enumerate(values) if type(v) is int and not -_INT64 <= v < _INT64]


def _table(names: Sequence[str], cells: _Cells, values: Any, nothing: Any) -> dict[str, Any]:
    """A column for each name that has a value; `nothing` is one without any."""
    there = np.bincount(cells.column, minlength=len(names)) > 0
    table = np.tile(nothing, (int(np.count_nonzero(there)), 1))
    table[(np.cumsum(there) - 1)[cells.column], cells.row] = values
    return dict(zip(compress(names, there.tolist()), table, strict=True))
