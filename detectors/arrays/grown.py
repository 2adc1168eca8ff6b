"""Rows of arrays that grow together, handed out and taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays.room import discard, zeros
from watchkeeper.detectors.frames import IntArray

Fields = Mapping[str, tuple[npt.DTypeLike, tuple[int, ...]]]
_FIRST = 1


class Grown:
    """Arrays of one length, by name; a row that is handed out is zero in all of them.

    `fields` gives each array's type and the shape of one row.
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = {name: (np.dtype(kind), shape) for name, (kind, shape) in fields.items()}
        self._free: list[int] = []
        self._used = 0
        self.arrays: dict[str, npt.NDArray[Any]] = {
            name: zeros((_FIRST, *shape), kind) for name, (kind, shape) in self._fields.items()
        }
        self._room = _FIRST

    def __len__(self) -> int:
        return self._used - len(self._free)

    @property
    def nbytes(self) -> int:
        """The memory of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def claim(self, count: int) -> IntArray:
        """So many rows, all zero."""
        again = [self._free.pop() for _ in range(min(count, len(self._free)))]
        new = count - len(again)
        if self._used + new > self._room:
            self._grow(self._used + new)
        rows = np.array([*again, *range(self._used, self._used + new)], dtype=np.int64)
        self._used += new
        if again:
            for array in self.arrays.values():
                array[again] = 0
        return rows

    def claim_one(self) -> int:
        """One row, all zero."""
        if self._free:
            row = self._free.pop()
            for array in self.arrays.values():
                array[row] = 0
            return row
        if self._used == self._room:
            self._grow(self._used + 1)
        self._used += 1
        return self._used - 1

    def release(self, rows: IntArray) -> None:
        """Takes rows back."""
        self._free.extend(rows.tolist())

    def release_one(self, row: int) -> None:
        """Takes one row back."""
        self._free.append(row)

    def trim(self) -> None:
        """Gives memory of rows that are free back to the system, where they lie together."""
        if not self._free:
            return
        free = np.sort(np.array(self._free, dtype=np.int64))
        last = np.append(np.diff(free) > 1, True)
        first = np.append(True, last[:-1])
        for array in self.arrays.values():
            discard(array, free[first], free[last] + 1)

    def widen(self, widths: Mapping[str, int]) -> None:
        """Makes the last axis of some arrays longer; what is new is zero."""
        for name, width in widths.items():
            array, (kind, shape) = self.arrays[name], self._fields[name]
            wider = zeros((*array.shape[:-1], width), kind)
            wider[..., : array.shape[-1]] = array
            self.arrays[name], self._fields[name] = wider, (kind, (*shape[:-1], width))

    def retype(self, name: str, kind: npt.DTypeLike) -> None:
        """Keeps an array in another type, which must hold all that is in it."""
        retyped = zeros(self.arrays[name].shape, kind)
        retyped[...] = self.arrays[name]
        self.arrays[name] = retyped
        self._fields[name] = np.dtype(kind), self._fields[name][1]

    def _grow(self, least: int) -> None:
        room = max(least, self._room + max(self._room // 4, _FIRST))
        for name, array in self.arrays.items():
            larger = zeros((room, *array.shape[1:]), array.dtype)
            larger[: self._used] = array[: self._used]
            self.arrays[name] = larger
        self._room = room
