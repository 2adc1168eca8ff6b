"""Base of banks: one detector's state over a matrix of series, kept in one array."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors import fast
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.past import Past
from watchkeeper.detectors.banks.records import Records, State
from watchkeeper.detectors.banks.sheet import Sitting
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.types import EachSample, StateError

Raw = npt.NDArray[np.uint8]
Fields = list[tuple[Any, ...]]

_FIRST = 1  # row of a new bank: many a model has a schema, and so banks, of its own
_STAMP = 8  # bytes of the stamp that begins a dumped row


class Bank(ABC):
    """The same detector for every series of one watch: rows are versions of models, columns series.

    The detector given says the settings; its own state is not used. A row that was never judged is
    a detector without a past. Rows are numbered by the caller, who clears those it gives up.

    The decisions are those of the detector, sample by sample, whichever rows are judged together.
    """

    version: ClassVar[int] = 1  # of the layout of the state
    by_histograms: ClassVar[bool] = False  # not by numbers alone

    def __init__(self, detector: EachSample, columns: int) -> None:
        self.columns = columns
        self._least = detector.min_n
        self._fields = Records(np.dtype(self.fields()), _FIRST, columns)
        self._history = Records(np.dtype(self.history()), _FIRST, columns)
        self._past = Past(np.dtype(self.past()), _FIRST, columns)
        parts: list[Records | Past] = [self._fields, self._history, self._past]
        self._parts = [part for part in parts if part.kind.names]
        self._room = _FIRST  # rows of each part
        self._seen_as: tuple[FloatArray, IntArray] | None = None
        layout = (
            f"{detector.name} {self.version} {columns} {[part.kind.descr for part in self._parts]}"
        )
        self.stamp = hashlib.blake2b(layout.encode(), digest_size=_STAMP).digest()

    @abstractmethod
    def fields(self) -> Fields:
        """What each window needs of the state of one series: little-endian, 8 bytes each."""

    def history(self) -> Fields:
        """What is long, and of which each window needs little."""
        return []

    def past(self) -> Fields:
        """What is long and fills up as time passes: rows of numbers."""
        return []

    @abstractmethod
    def judge_enough(
        self, rows: IntArray, held: State, samples: Columns, enough: BoolArray
    ) -> Judged:
        """Judges the samples where there is enough to judge by, and learns from them.

        `held` are the `fields` of the rows, to be changed in place.
        """

    def sound(self, parts: list[State]) -> bool:
        """Whether a state read back, its parts, can be worked with."""
        return True

    def judge(self, rows: IntArray, samples: Columns) -> Judged:
        """Judges one window of each of these rows; no row twice."""
        if fast.available():
            sitting = Sitting.of(rows, [samples], self.columns)
            if self.judge_here(sitting, np.arange(self.columns), 0, samples):
                return sitting.page.judged()
        return self.judge_plainly(rows, samples)

    def judge_plainly(self, rows: IntArray, samples: Columns) -> Judged:
        """As `judge`, by NumPy alone."""
        self._reach(int(rows.max()) + 1 if len(rows) else 0)
        enough = samples.given & np.isfinite(samples.value) & (samples.n >= self._least)
        held = self._fields.take(rows)
        with np.errstate(all="ignore"):  # what is not enough is computed along, and not looked at
            judged = self.judge_enough(rows, held, samples, enough)
        self._fields.put(rows, held)
        return judged

    def judge_here(
        self, sitting: Sitting, columns: IntArray, first: int, samples: Columns | None
    ) -> bool:
        """As `judge`, in a compiled loop; False where this bank has none.

        The series are these `columns` of the sheet, and from the `first` on those of the page.
        Only a bank that judges `by_histograms` needs `samples`, which are its own.
        """
        return False

    # -----------------------------------------------------------------------------------------
    # Rows
    # -----------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """The memory the state takes."""
        return sum(part.nbytes for part in self._parts)

    @property
    def row_nbytes(self) -> int:
        """The bytes of one row of the state."""
        return sum(self._sizes())

    def clear(self, rows: IntArray) -> None:
        """Forgets these rows."""
        for part in self._parts:
            known = rows[rows < len(part)]
            part.put(known, np.zeros((len(known), self.columns), dtype=part.kind))

    def clear_series(self, row: int, columns: IntArray) -> None:
        """Forgets some series of a row."""
        rows = np.array([row])
        for part in self._parts:
            if row < len(part):
                held = part.take(rows)
                held[0, columns] = np.zeros((), dtype=part.kind)
                part.put(rows, held)

    def inherit(
        self, row: int, from_row: int, of: Bank | None = None, columns: IntArray | None = None
    ) -> None:
        """Takes up another row's past, of this bank or of one with the same layout.

        `columns` says for each column here which one there it continues, -1 for none; without it
        the columns are the same.
        """
        other = self if of is None else of
        if [p.kind for p in other._parts] != [p.kind for p in self._parts]:
            raise StateError("a bank can only take up the state of one like it")
        self._reach(row + 1)
        other._reach(from_row + 1)
        taken = np.arange(self.columns) if columns is None else columns
        known = taken >= 0
        for mine, theirs in zip(self._parts, other._parts, strict=True):
            held, past = mine.take(np.array([row])), theirs.take(np.array([from_row]))
            held[0, known] = past[0, taken[known]]
            mine.put(np.array([row]), held)

    def raw(self, rows: IntArray) -> Raw:
        """The states of rows as bytes, one row each: little-endian, of `row_nbytes`."""
        words = np.concatenate(self.words(rows, int(rows.max(initial=-1)) + 1), axis=1)
        return words.view(np.uint8)

    def words(self, rows: IntArray, beyond: int) -> list[IntArray]:
        """The same part by part, as words of 8 bytes; all rows are below `beyond`."""
        self._reach(beyond)
        return [part.words(rows) for part in self._parts]

    def put(self, rows: IntArray, raw: Raw) -> None:
        """Takes up what `raw` gave. Raises `StateError` where it cannot be such states."""
        if raw.shape != (len(rows), self.row_nbytes):
            raise StateError(f"stored state has {raw.shape[-1]} bytes, not {self.row_nbytes}")
        read, at, shape = [], 0, (len(rows), self.columns)
        for part, size in zip(self._parts, self._sizes(), strict=True):
            cut = np.ascontiguousarray(raw[:, at : at + size])
            read.append(cut.view(part.kind).reshape(shape))
            at += size
        self._take(rows, read)

    def dump(self, row: int) -> bytes:
        """One row with a stamp of its layout; of the history only what is not zero."""
        self._reach(row + 1)
        fields, *history = (part.words(np.array([row])) for part in self._parts)
        parts = [self.stamp, fields.tobytes()]
        for words in history:
            used = words != 0
            parts += [np.packbits(used).tobytes(), words[used].tobytes()]
        return b"".join(parts)

    def load(self, row: int, stored: bytes) -> None:
        """Takes up what `dump` gave. Raises `StateError` where the layout is another."""
        if stored[:_STAMP] != self.stamp:
            raise StateError("stored state has another layout")
        size = _STAMP + self._sizes()[0]
        kind, *long = (part.kind for part in self._parts)
        if len(stored) < size or (len(stored) > size and not long):
            raise StateError(f"stored state has {len(stored)} bytes, not {size}")
        read = [np.frombuffer(stored, dtype=kind, count=self.columns, offset=_STAMP)[None]]
        read += [_unpacked(stored[size:], self.columns, each) for each in long]
        self._take(np.array([row]), read)

    def _take(self, rows: IntArray, read: list[State]) -> None:
        if not self.sound(read):
            raise StateError("stored state is damaged: numbers that no detector could have")
        self._reach(int(np.max(rows, initial=-1)) + 1)
        for part, state in zip(self._parts, read, strict=True):
            part.put(rows, state)

    def _tables(self) -> tuple[FloatArray, IntArray]:
        """The fields' memory as numbers and as integers, a row a row: its words lie one behind
        the other, series by series."""
        words = self._fields.all_words
        if self._seen_as is None or self._seen_as[1] is not words:
            self._seen_as = words.view(np.float64), words
        return self._seen_as

    def _sizes(self) -> list[int]:
        return [self.columns * part.kind.itemsize for part in self._parts]

    def _reach(self, rows: int) -> None:
        if rows > self._room:
            self._room = max(rows, self._room + self._room // 4)
            for part in self._parts:
                part.reach(self._room)


def _unpacked(packed: bytes, columns: int, kind: np.dtype[np.void]) -> State:
    """A row of history that was packed: a bit for each word, and those that are not zero."""
    words = np.zeros(columns * kind.itemsize // 8, dtype=np.int64)
    bits = -(-len(words) // 8)
    marks = np.frombuffer(packed[:bits], dtype=np.uint8)
    used = np.unpackbits(marks, count=len(words)).view(np.bool_)
    if len(packed) != bits + 8 * np.count_nonzero(used):
        raise StateError("stored state is damaged: it has another size than it says")
    words[used] = np.frombuffer(packed, dtype=np.int64, offset=bits)
    return words.view(kind)[None]
