"""Base of banks: one detector's state over a matrix of series, kept in one array."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.frames import BoolArray, IntArray
from watchkeeper.detectors.types import EachSample, StateError

State = npt.NDArray[np.void]
Raw = npt.NDArray[np.uint8]
Fields = list[tuple[Any, ...]]

_FIRST = 16  # rows of a new bank
_STAMP = 8  # bytes of the stamp that begins a dumped row


class Bank(ABC):
    """The same detector for every series of one watch: rows are versions of models, columns series.

    The detector given says the settings; its own state is not used. A row that was never judged is
    a detector without a past. Rows are numbered by the caller, who clears those it gives up.

    The decisions are those of the detector, sample by sample, whichever rows are judged together.
    """

    version: ClassVar[int] = 1  # of the layout of the state

    def __init__(self, detector: EachSample, columns: int) -> None:
        self.columns = columns
        self._least = detector.min_n
        self._dtype = np.dtype(self.fields())
        self._state: State = np.zeros((_FIRST, columns), dtype=self._dtype)
        layout = f"{detector.name} {self.version} {columns} {self._dtype.descr}"
        self.stamp = hashlib.blake2b(layout.encode(), digest_size=_STAMP).digest()

    @abstractmethod
    def fields(self) -> Fields:
        """The state of one series: fields of a little-endian structured dtype."""

    @abstractmethod
    def judge_enough(self, rows: IntArray, samples: Columns, enough: BoolArray) -> Judged:
        """Judges the samples where there is enough to judge by, and learns from them."""

    def sound(self, state: State) -> bool:
        """Whether a state read back can be worked with; a bank says what could not."""
        return True

    def judge(self, rows: IntArray, samples: Columns) -> Judged:
        """Judges one window of each of these rows; no row twice."""
        self._reach(int(rows.max()) + 1 if len(rows) else 0)
        enough = samples.given & np.isfinite(samples.value) & (samples.n >= self._least)
        with np.errstate(all="ignore"):  # what is not enough is computed along, and not looked at
            return self.judge_enough(rows, samples, enough)

    # -----------------------------------------------------------------------------------------
    # Rows
    # -----------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """The memory the state takes."""
        return int(self._state.nbytes)

    @property
    def row_nbytes(self) -> int:
        """The bytes of one row of the state."""
        return self.columns * self._dtype.itemsize

    def clear(self, rows: IntArray) -> None:
        """Forgets these rows."""
        self._state[rows[rows < len(self._state)]] = np.zeros((), dtype=self._dtype)

    def inherit(
        self, row: int, from_row: int, of: Bank | None = None, columns: IntArray | None = None
    ) -> None:
        """Takes up another row's past, of this bank or of one with the same layout.

        `columns` says for each column here which one there it continues, -1 for none; without it
        the columns are the same.
        """
        other = self if of is None else of
        if other._dtype != self._dtype or type(other) is not type(self):
            raise StateError("a bank can only take up the state of one like it")
        self._reach(row + 1)
        other._reach(from_row + 1)
        past = other._state[from_row]
        if columns is None:
            self._state[row] = past
            return
        known = columns >= 0
        self._state[row, known] = past[columns[known]]

    def raw(self, rows: IntArray) -> Raw:
        """The states of rows as bytes, one row each: little-endian, of `row_nbytes`."""
        self._reach(int(rows.max()) + 1 if len(rows) else 0)
        return self._state[rows].view(np.uint8).reshape(len(rows), self.row_nbytes)

    def put(self, rows: IntArray, raw: Raw) -> None:
        """Takes up what `raw` gave. Raises `StateError` where it cannot be such states."""
        if raw.shape != (len(rows), self.row_nbytes):
            raise StateError(f"stored state has {raw.shape[-1]} bytes, not {self.row_nbytes}")
        state = np.ascontiguousarray(raw).view(self._dtype).reshape(len(rows), self.columns)
        if not self.sound(state):
            raise StateError("stored state is damaged: numbers that no detector could have")
        self._reach(int(rows.max()) + 1 if len(rows) else 0)
        self._state[rows] = state

    def dump(self, row: int) -> bytes:
        """One row with a stamp of its layout."""
        return self.stamp + self.raw(np.array([row])).tobytes()

    def load(self, row: int, stored: bytes) -> None:
        """Takes up what `dump` gave. Raises `StateError` where the layout is another."""
        if stored[:_STAMP] != self.stamp:
            raise StateError("stored state has another layout")
        raw = np.frombuffer(stored, dtype=np.uint8, offset=_STAMP)
        self.put(np.array([row]), raw.reshape(1, -1))

    def _reach(self, rows: int) -> None:
        held = len(self._state)
        if rows > held:
            wider = np.zeros((max(rows, 2 * held), self.columns), dtype=self._dtype)
            wider[:held] = self._state
            self._state = wider
