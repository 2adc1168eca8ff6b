"""Where the events of a block go: numbers among those of their own, slots of open windows, rows of
tallies. `placing_fast` does the same in compiled loops."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors import fast
from watchkeeper.detectors.types import FloatArray, IntArray

MIXED = -1  # stands for the codes of rows that have different ones
C = TypeVar("C", bound=npt.NDArray[np.integer[Any]])


def quickest() -> ModuleType:
    """The quickest way there is here: this module or the compiled one."""
    name = f"{__name__}_fast" if fast.available() else __name__
    return import_module(name)


def numbered(counters: C, rows: IntArray) -> C:
    """The number of each event: what the counter of its row has come to. Each adds one."""
    n = len(rows)
    if not n or (rows == rows[0]).all():
        first = counters[rows[:1]]
        counters[rows[:1]] += counters.dtype.type(n)
        return np.asarray(first + np.arange(n).astype(counters.dtype))  # type: ignore[return-value]
    small = rows.astype(np.uint16) if int(rows.max()) < 1 << 16 else rows
    order = np.argsort(small, kind="stable")  # of two bytes by their digits, which is quickest
    ordered = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(starts, append=n)
    ranks = np.empty(n, dtype=counters.dtype)
    ranks[order] = np.arange(n) - np.repeat(starts, counts)
    numbers = counters[rows] + ranks
    counters[ordered[starts]] += counts.astype(counters.dtype)
    return numbers  # type: ignore[return-value]


def remembered(
    windows: IntArray, slots: IntArray, member: IntArray, window: IntArray
) -> tuple[IntArray, int]:
    """The slot that is remembered of each event's member, and of how many events that is not the
    window; `windows` and `slots` are what is remembered by member."""
    return slots[member], int(np.count_nonzero(windows[member] != window))


def count_members(n: IntArray, newest: FloatArray, member: IntArray, at: FloatArray) -> None:
    """Adds events to the number and to the newest time of their members."""
    counts = np.bincount(member)
    n[: len(counts)] += counts
    np.maximum.at(newest, member, at)


def overfull(n: IntArray, row: IntArray, most: int, slot: IntArray) -> IntArray:
    """Adds events to the number of their slots; gives the slots, ascending, which are in small
    integers (`row` is not negative), but have `most` events no longer."""
    counts = np.bincount(slot)
    n = n[: len(counts)]
    n += counts
    return np.flatnonzero((n > most) & (row[: len(counts)] >= 0) & (counts > 0))


def placed(
    table: IntArray, row: IntArray, ref: IntArray, slot: IntArray
) -> tuple[int, IntArray, IntArray, IntArray]:
    """The one code of all events, or `MIXED`; the code of each event: twice the table of its slot,
    and one where the row is of the large tally; its row there, and its reference's."""
    rows = row[slot]
    codes = 2 * table[slot] + (rows < 0)
    code = int(codes[0]) if (codes == codes[0]).all() else MIXED
    return code, codes, np.where(rows < 0, ~rows, rows), ref[slot]
