"""What series remember, as a table of records."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays.room import zeros
from watchkeeper.detectors.frames import IntArray

State = npt.NDArray[np.void]


class Records:
    """One record a series: `table` has a row a row of the bank. All its fields lie together."""

    def __init__(self, kind: np.dtype[Any], rows: int, columns: int) -> None:
        self.kind = kind
        self.table: State = zeros((rows, columns), kind)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def nbytes(self) -> int:
        """The memory of all series."""
        return self.table.nbytes

    def reach(self, rows: int) -> None:
        """Makes room for so many rows."""
        wider = zeros((rows, self.table.shape[1]), self.kind)
        wider[: len(self.table)] = self.table
        self.table = wider

    def take(self, rows: IntArray) -> State:
        """The records of rows, (R, C)."""
        return words_of(self.table)[rows].view(self.kind)

    def put(self, rows: IntArray, records: State) -> None:
        """Replaces the records of rows."""
        words_of(self.table)[rows] = words_of(records)


def words_of(records: State) -> IntArray:
    """Records as words of 8 bytes, row by row: NumPy copies these faster."""
    words = records.dtype.itemsize // 8
    return records.view(np.int64).reshape(len(records), records.shape[1] * words)
