"""Where the events of a block go, in compiled loops: the same numbers as by `placing`, sooner."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.core.placing import MIXED, C
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.types import FloatArray, IntArray

Table = npt.NDArray[Any]

_MIXED = MIXED
_WHOLE: IntArray = np.zeros(1, dtype=np.int64)
_GIVEN = _WHOLE.copy()  # a column that a kernel only reads: it may be one that must not be written
_GIVEN.flags.writeable = False


def numbered(counters: C, rows: IntArray) -> C:
    """As `placing.numbered`."""
    numbers = np.empty(len(rows), dtype=counters.dtype)
    count = _numbered_small if counters.itemsize == 4 else _numbered
    count(counters, rows, numbers)
    return numbers  # type: ignore[return-value]


def _example_of_numbered(kind: npt.DTypeLike) -> tuple[Any, ...]:
    counters: Table = np.zeros(1, dtype=kind)
    return counters, _GIVEN, counters


@kernel(partial(_example_of_numbered, np.int64))
def _numbered(counters: Table, rows: Table, numbers: Table) -> None:
    """Fills the last one."""
    for i in range(len(rows)):
        numbers[i] = counters[rows[i]]
        counters[rows[i]] += 1


_numbered_small = kernel(partial(_example_of_numbered, np.uint32))(_numbered.function)


def remembered(
    windows: IntArray, slots: IntArray, member: IntArray, window: IntArray
) -> tuple[IntArray, int]:
    """As `placing.remembered`."""
    slot = np.empty(len(member), dtype=np.int64)
    return slot, _remembered(windows, slots, member, window, slot)


@kernel(lambda: (_WHOLE, _WHOLE, _GIVEN, _GIVEN, _WHOLE))
def _remembered(windows: Table, slots: Table, member: Table, window: Table, slot: Table) -> int:
    """Fills the last one; says how many have another window."""
    missed = 0
    for i in range(len(member)):
        slot[i] = slots[member[i]]
        missed += windows[member[i]] != window[i]
    return missed


def count_members(n: IntArray, newest: FloatArray, member: IntArray, at: FloatArray) -> None:
    """As `placing.count_members`."""
    _count_members(n, newest, member, np.ascontiguousarray(at))


def _example_of_members() -> tuple[Any, ...]:
    at = np.zeros(1)
    at.flags.writeable = False
    return _WHOLE, np.zeros(1), _GIVEN, at


@kernel(_example_of_members)
def _count_members(n: Table, newest: Table, member: Table, at: Table) -> None:
    for i in range(len(member)):
        n[member[i]] += 1
        newest[member[i]] = max(newest[member[i]], at[i])


def overfull(n: IntArray, row: IntArray, most: int, slot: IntArray) -> IntArray:
    """As `placing.overfull`."""
    found = np.empty(len(slot), dtype=np.int64)
    some = _overfull(n, row, most, slot, found)
    return np.unique(found[:some]) if some else found[:0]


@kernel(lambda: (_WHOLE, _WHOLE, 0, _GIVEN, _WHOLE))
def _overfull(n: Table, row: Table, most: int, slot: Table, found: Table) -> int:
    """Fills the last one, some slots several times; says how far."""
    some = 0
    for i in range(len(slot)):
        n[slot[i]] += 1
        if n[slot[i]] > most and row[slot[i]] >= 0:
            found[some] = slot[i]
            some += 1
    return some


def placed(
    table: IntArray, row: IntArray, ref: IntArray, slot: IntArray
) -> tuple[int, IntArray, IntArray, IntArray]:
    """As `placing.placed`."""
    codes, rows, refs = (np.empty(len(slot), dtype=np.int64) for _ in range(3))
    return _placed(table, row, ref, slot, codes, rows, refs), codes, rows, refs


@kernel(lambda: (_WHOLE, _WHOLE, _WHOLE, _GIVEN, _WHOLE, _WHOLE, _WHOLE))
def _placed(
    table: Table, row: Table, ref: Table, slot: Table, codes: Table, rows: Table, refs: Table
) -> int:
    """Fills the last three; gives the one code of all."""
    same = True
    for i in range(len(slot)):
        here, is_large = row[slot[i]], row[slot[i]] < 0
        codes[i] = 2 * table[slot[i]] + is_large
        rows[i] = ~here if is_large else here
        refs[i] = ref[slot[i]]
        same = same and codes[i] == codes[0]
    return codes[0] if same else _MIXED
