"""What each template's counts were in the windows before: rows of arrays, one a template."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray, State, StateError

Ring = npt.NDArray[np.float32]

WINDOWS = 128  # that are remembered of each template
# What stands among the templates' numbers for the mix of all, and for all lines.
MIX, ALL = -1, -2

_RINGS = ("counts", "shares")
_NUMBERS = ("age", "lines", "errors", "gap", "longest", "alarm", "held", "calm")
_REALS = ("up", "down", "since", "weight")
_LARGEST = 1 << 28  # bytes of one array


class History:
    """Rows of arrays, found by the template's number; all rows are in use.

    `counts` and `shares` hold the last `WINDOWS` windows in a ring: the number of lines, and its
    part of all lines. `age` counts the windows since the template was met, `lines` and `errors` all
    its lines, `gap` the windows since it last came and `longest` the longest gap before. `up` and
    `down` are the evidence that it comes more or less often. `alarm` says what is known to have
    changed (0: nothing), `since` when, `held` for how many windows, `calm` for how many it has
    been as before; `weight` is log10 of the evidence of all together that gave the alarm.
    """

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.counts: Ring = np.zeros((0, WINDOWS), dtype=np.float32)
        self.shares: Ring = np.zeros((0, WINDOWS), dtype=np.float32)
        for name in _NUMBERS:
            setattr(self, name, np.zeros(0, dtype=np.int64))
        for name in _REALS:
            setattr(self, name, np.zeros(0))

    age: IntArray
    lines: IntArray
    errors: IntArray
    gap: IntArray
    longest: IntArray
    alarm: IntArray
    held: IntArray
    calm: IntArray
    up: FloatArray
    down: FloatArray
    since: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def numbers(self) -> list[int]:
        """The template of each row."""
        return sorted(self.rows, key=self.rows.__getitem__)

    @property
    def valid(self) -> IntArray:
        """How many windows of its ring each row has filled."""
        return np.minimum(self.age, WINDOWS)

    def usual(self, ring: Ring) -> FloatArray:
        """The mean of each row's windows in a ring; 0 before the first."""
        found: FloatArray = ring.sum(axis=1, dtype=np.float64) / np.maximum(self.valid, 1)
        return found

    def add(self, number: int) -> int:
        """A row for a template that has none."""
        row = self.rows[number] = len(self.rows)
        for name in (*_RINGS, *_NUMBERS, *_REALS):
            array = getattr(self, name)
            one = np.zeros_like(array, shape=(1, *array.shape[1:]))
            setattr(self, name, np.concatenate([array, one]))
        return row

    def drop(self, number: int) -> None:
        """Gives up a template's row; the last one takes its place."""
        row = self.rows.pop(number, None)
        if row is None:
            return
        last = len(self.rows)
        for name in (*_RINGS, *_NUMBERS, *_REALS):
            array = getattr(self, name)
            array[row] = array[last]
            setattr(self, name, array[:last])
        moved = next((n for n, r in self.rows.items() if r == last), None)
        if moved is not None:
            self.rows[moved] = row

    def join(self, number: int, into: int) -> None:
        """One template turned out to be another: its counts are the other's."""
        if number not in self.rows:
            return
        if into not in self.rows:
            self.rows[into] = self.rows.pop(number)
            return
        one, other = self.rows[number], self.rows[into]
        for ring in (self.counts, self.shares):
            ring[other] = _in_order(ring[other], int(self.age[other])) + _in_order(
                ring[one], int(self.age[one])
            )
        for total in (self.lines, self.errors):
            total[other] += total[one]
        age = max(int(self.age[one]), int(self.age[other]))
        # `_in_order` puts the newest last: the ring begins anew there.
        self.age[other] = min(age, WINDOWS)
        if age < WINDOWS:
            for ring in (self.counts, self.shares):
                ring[other] = np.roll(ring[other], age - WINDOWS)
        self.gap[other] = min(self.gap[one], self.gap[other])
        self.longest[other] = min(self.longest[one], self.longest[other])
        self.drop(number)

    def write(self, counts: Ring, shares: Ring, which: BoolArray) -> None:
        """Remembers one more window of the rows chosen."""
        rows = np.flatnonzero(which)
        places = self.age[rows] % WINDOWS
        self.counts[rows, places] = counts[rows]
        self.shares[rows, places] = shares[rows]
        self.age[rows] += 1

    def begin_again(self, row: int) -> None:
        """What a row is from now on is what is normal for it."""
        self.counts[row] = self.shares[row] = 0.0
        for array in (self.age, self.gap, self.longest, self.alarm, self.held, self.calm):
            array[row] = 0
        self.up[row] = self.down[row] = 0.0

    # -----------------------------------------------------------------------------------------
    # State
    # -----------------------------------------------------------------------------------------

    def state(self) -> State:
        """Everything remembered, as plain data."""
        packed = {name: _packed(getattr(self, name)) for name in (*_RINGS, *_NUMBERS, *_REALS)}
        return {"numbers": self.numbers, **packed}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` gave. Raises `StateError` for anything else."""
        numbers = state.get("numbers")
        if not isinstance(numbers, list) or not all(type(each) is int for each in numbers):
            raise StateError("log history: stored state has no rows")
        n = len(numbers)
        if len(set(numbers)) != n:
            raise StateError("log history: stored state has a template twice")
        found = {
            name: _unpacked(state.get(name), getattr(self, name).dtype, shape)
            for names, shape in ((_RINGS, (n, WINDOWS)), ((*_NUMBERS, *_REALS), (n,)))
            for name in names
        }
        if any((found[name] < 0).any() for name in _NUMBERS if name != "alarm"):
            raise StateError("log history: stored state has negative counts")
        for name, array in found.items():
            setattr(self, name, array)
        self.rows = {number: row for row, number in enumerate(numbers)}


def _in_order(ring: Ring, age: int) -> Ring:
    """A ring with the newest window last, and zeros before the first."""
    if age >= WINDOWS:
        return np.roll(ring, -(age % WINDOWS))
    return np.roll(ring, WINDOWS - age)


def _packed(array: np.ndarray[Any, Any]) -> bytes:
    return zlib.compress(array.astype(array.dtype.newbyteorder("<")).tobytes(), 1)


def _unpacked(
    data: object, kind: np.dtype[Any], shape: tuple[int, ...]
) -> np.ndarray[Any, np.dtype[Any]]:
    if not isinstance(data, bytes):
        raise StateError("log history: stored state is no bytes")
    size = int(np.prod(shape)) * kind.itemsize
    if size > _LARGEST:
        raise StateError("log history: stored state is too large")
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(data, size + 1)
    except zlib.error as error:
        raise StateError(f"log history: stored state is damaged: {error}") from error
    if len(raw) != size:
        raise StateError(f"log history: stored state has {len(raw)} bytes, not {size}")
    array = np.frombuffer(raw, dtype=kind.newbyteorder("<")).astype(kind).reshape(shape)
    if not np.isfinite(array).all():
        raise StateError("log history: stored state is not finite")
    return array
