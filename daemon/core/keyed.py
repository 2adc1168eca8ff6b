"""Rows that are found by a 64-bit key: a growing array, and an index that takes whole blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors import fast
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

Numbers = npt.NDArray[np.int32]  # of rows; 0 is none

ROW = np.dtype(
    [
        ("key", np.uint64),
        ("at", np.float64),
        ("label", np.uint64),
        ("score", np.float64),
        ("value", np.float64),
        ("owner", np.int32),
        ("seq", np.uint32),
    ]
)
_WHOLE = np.dtype((np.void, ROW.itemsize))
FIRST = 2  # the number of the first row
_LEAST = 256  # rows there is room for at least
_CHUNK = 1 << 15  # rows that are brought into a new index at a time
_BITE = 1 << 11  # rows that are moved at a time: few enough for the memory at hand
_NONE = np.int32(0)


class Index:
    """Finds row numbers by key: open addressing with double hashing, a block at a time.

    `known` is always the column of the rows' keys, whose first two, of no row, are 0. A row is
    forgotten by setting its key to 0 there; its place is freed when a new index is made.
    """

    def __init__(self, room: int) -> None:
        """There is room for so many rows, half of the places stay free."""
        size = 1 << (2 * room - 1).bit_length()
        self._places = np.zeros(size, dtype=np.int32)
        self._mask = np.uint64(size - 1)
        self._room = size * 5 // 8

    def renumber(self, numbers: Numbers, room: int) -> bool:
        """Gives each row its new number (1: it is gone); False: there is no room for so many more,
        make a new one."""
        if np.count_nonzero(self._places) + room > self._room:
            return False
        self._places = numbers.take(self._places)
        return True

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._places.nbytes

    def find(self, keys: Keys, known: Keys) -> Numbers:
        """The row of each key; 0 where there is none."""
        places = self._places
        here = self._first(keys)
        rows = places[here]
        left = np.flatnonzero((known[rows] != keys) & (rows != _NONE))
        here, keys = here[left], keys[left]
        step = _steps(keys)
        while len(left):
            here = self._next(here, step)
            met = places[here]
            rows[left] = met
            on = np.flatnonzero((known[met] != keys) & (met != _NONE))
            left, here, keys, step = left[on], here[on], keys[on], step[on]
        return rows

    def put(self, keys: Keys, rows: Numbers, known: Keys) -> Numbers:
        """Makes the rows known, whose keys are in `known` already; gives the rows that nobody
        finds any more, as of equal keys only the last row is found."""
        places, here, step = self._places, self._first(keys), _steps(keys)
        lost = []
        while len(keys):
            held = places[here]
            same, free = known[held] == keys, held == _NONE
            older = same & (held > rows)
            claim = (same | free) & ~older
            places[here[claim]] = rows[claim]
            won = places[here] == rows
            lost += [held[same & won], rows[older]]
            moved = np.where(claim, here, self._next(here, step))
            on = np.flatnonzero(~(won | older))
            here, keys, rows, step = moved[on], keys[on], rows[on], step[on]
        gone: Numbers = np.concatenate(lost) if lost else np.zeros(0, dtype=np.int32)
        return gone

    def _first(self, keys: Keys) -> IntArray:
        # The lowest and the highest bits are left to those who sample by keys.
        return ((keys >> np.uint64(20)) & self._mask).view(np.int64)

    def _next(self, here: IntArray, step: Keys) -> IntArray:
        return ((here.view(np.uint64) + step) & self._mask).view(np.int64)


def _steps(keys: Keys) -> Keys:
    return (keys >> np.uint64(7)) | np.uint64(1)


def _index(room: int) -> Index:
    """The quickest index there is here."""
    if not fast.available():
        return Index(room)
    from watchkeeper.daemon.core.keyed_fast import CompiledIndex  # of use only with numba

    return CompiledIndex(room)


class Keyed:
    """Rows in the order in which they were added, until `retain` says which ones stay.

    A row takes 48 bytes; after `retain` there is room for about half as many more. `rows[0]`
    stands for none and `rows[1]` for one that is gone. `epoch` counts how often the rows were
    numbered anew.
    """

    def __init__(self) -> None:
        self.rows = np.zeros(_LEAST, dtype=ROW)
        self.known: Keys = self.rows["key"]
        self.end = FIRST
        self.epoch = 0
        self._index = _index(_LEAST)

    def __len__(self) -> int:
        return self.end - FIRST

    @property
    def nbytes(self) -> int:
        """Bytes held, with those of the index."""
        return self.rows.nbytes + self._index.nbytes

    def has_room(self, n: int) -> bool:
        """Whether `n` rows can be added without `retain`."""
        return self.end + n <= len(self.rows)

    def find(self, keys: Keys) -> Numbers:
        """The row of each key; 0 where there is none."""
        if self.end == FIRST:
            return np.zeros(len(keys), dtype=np.int32)
        return self._index.find(keys, self.known)

    def append(
        self,
        keys: Keys,
        at: FloatArray,
        label: Keys,
        score: FloatArray | float,
        value: FloatArray,
        owner: npt.NDArray[np.int32],
        seq: npt.NDArray[np.uint32],
    ) -> Numbers:
        """Adds rows; those of the same key that were known before are dropped, and given."""
        first, self.end = self.end, self.end + len(keys)
        new = self.rows[first : self.end]
        new["key"], new["at"], new["label"], new["score"] = keys, at, label, score
        new["value"], new["owner"], new["seq"] = value, owner, seq
        numbers = np.arange(first, self.end, dtype=np.int32)
        lost = self._index.put(keys, numbers, self.known)
        self.drop(lost)
        return lost

    def drop(self, rows: Numbers | IntArray) -> None:
        """Forgets rows."""
        self.known[rows] = 0

    def used(self) -> npt.NDArray[np.void]:
        """All rows, dropped ones (key 0) too, in their order, from number `FIRST` on."""
        return self.rows[FIRST : self.end]

    def retain(self, alive: BoolArray, room: int) -> None:
        """Lets the rows go that are not in `alive`, and makes room for `room` new ones."""
        places = np.flatnonzero(alive) + FIRST
        n = len(places)
        numbers = np.ones(self.end, dtype=np.int32)
        numbers[0], numbers[places] = 0, np.arange(FIRST, FIRST + n)
        self._pack(places, max(_LEAST, (n + room + FIRST) * 3 // 2))
        self.end, self.epoch = FIRST + n, self.epoch + 1
        fits = self._index.nbytes <= 32 * len(self.rows)
        if not fits or not self._index.renumber(numbers, len(self.rows) - self.end):
            self._reindex()

    def _pack(self, places: IntArray, size: int) -> None:
        """Brings these rows together at the beginning of an array of about that size."""
        old = self.rows
        if not size <= len(old) * 8 // 7 <= 2 * size:
            self.rows = np.zeros(size, dtype=ROW)
            self.known = self.rows["key"]
        whole, into = old.view(_WHOLE), self.rows.view(_WHOLE)  # by its fields it takes far longer
        for first in range(0, len(places), _BITE):  # no row moves back: none is overwritten
            chosen = whole.take(places[first : first + _BITE])
            into[FIRST + first : FIRST + first + len(chosen)] = chosen

    def _reindex(self) -> None:
        self._index = _index(len(self.rows))
        for first in range(FIRST, self.end, _CHUNK):
            last = min(first + _CHUNK, self.end)
            numbers = np.arange(first, last, dtype=np.int32)
            self._index.put(self.known[first:last].copy(), numbers, self.known)
