"""What series remember of a long time, in memory that is taken only as the time passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays.room import is_written, longer, zeros
from watchkeeper.detectors.banks.records import State, words_of
from watchkeeper.detectors.frames import IntArray

Table = npt.NDArray[Any]


class Past:
    """As `Records`, of records whose fields are rows of numbers that fill up with time.

    `tables` has the fields by name, turned round: the first number of all series, the second of
    all, ..., in the shape (numbers, rows, columns). What no series has come to yet lies together,
    and takes no memory as long as not even zeros are written there.
    """

    def __init__(self, kind: np.dtype[Any], rows: int, columns: int) -> None:
        self.kind, self._columns = kind, columns
        self.tables: dict[str, Table] = {}
        for name in kind.names or ():
            number, shape = kind[name].subdtype or (kind[name], (1,))
            self.tables[name] = zeros((*shape, rows, columns), number)

    def __len__(self) -> int:
        return int(next(iter(self.tables.values())).shape[1])

    @property
    def nbytes(self) -> int:
        """The memory of all series once their past is long."""
        return sum(table.nbytes for table in self.tables.values())

    def reach(self, rows: int) -> None:
        """Makes room for so many rows."""
        self.tables = {name: longer(table, rows) for name, table in self.tables.items()}

    def take(self, rows: IntArray) -> State:
        """The records of rows, (R, C)."""
        found = np.empty((len(rows), self._columns), dtype=self.kind)
        for name, table in self.tables.items():
            found[name] = table[:, rows].transpose(1, 2, 0)
        return found

    def words(self, rows: IntArray) -> IntArray:
        """The same as words of 8 bytes, row by row."""
        return words_of(self.take(rows))

    def put(self, rows: IntArray, records: State) -> None:
        """Replaces the records of rows."""
        for name, table in self.tables.items():
            numbers = np.moveaxis(records[name], -1, 0)
            used = is_written(numbers) | is_written(table[:, rows])
            places = np.flatnonzero(used.any(axis=(1, 2)))
            table[places[:, None], rows] = numbers[places]
