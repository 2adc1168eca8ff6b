"""What series remember, as a table of records."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays.room import zeros
from watchkeeper.detectors.frames import IntArray

State = npt.NDArray[np.void]
_NO_WORDS = np.zeros((0, 0), dtype=np.int64)


class Records:
    """One record a series: `table` has a row a row of the bank. All its fields lie together.

    `all_words` is the same memory as words of 8 bytes: NumPy takes rows of these faster.
    """

    def __init__(self, kind: np.dtype[Any], rows: int, columns: int) -> None:
        self.kind = kind
        self._put_table(zeros((rows, columns), kind))

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
        self._put_table(wider)

    def take(self, rows: IntArray) -> State:
        """The records of rows, (R, C)."""
        return self.all_words[rows].view(self.kind)

    def words(self, rows: IntArray) -> IntArray:
        """The same as words of 8 bytes, row by row."""
        return self.all_words[rows]

    def put(self, rows: IntArray, records: State) -> None:
        """Replaces the records of rows."""
        self.all_words[rows] = words_of(records)

    def _put_table(self, table: State) -> None:
        self.table = table
        self.all_words = words_of(table) if self.kind.names else _NO_WORDS


def words_of(records: State) -> IntArray:
    """Records as words of 8 bytes, row by row: NumPy copies these faster."""
    words = records.dtype.itemsize // 8
    return records.view(np.int64).reshape(len(records), records.shape[1] * words)
