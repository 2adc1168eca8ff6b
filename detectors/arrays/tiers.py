"""Tallies of one schema, of few events in small integers and of many in large ones."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays.few import FEW, Few
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import PAIRS, SCORED, N, Tally
from watchkeeper.detectors.frames import IntArray

_SUMS = ("head", "sums", "losses")
_COUNTS = ("numeric", "texts", "durations", "clients", "scores")
_HEAD = struct.Struct("<IB")  # how many counts are not zero, and how many bytes each takes
_AT_ONCE = 256  # rows: as many as the processor has at hand


class Tiers:
    """Rows of two tallies under one numbering: those below 0 are the complements of rows of the
    `large` one.

    A row of the `small` one must not count more than `FEW` events, nor more than as many pairs;
    `widen` moves it before it does. What is read of either is the same.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.small = Few(schema)
        self.large = Tally(schema)

    def __len__(self) -> int:
        return len(self.small) + len(self.large)

    @property
    def nbytes(self) -> int:
        """The memory of both."""
        return self.small.nbytes + self.large.nbytes

    def claim_one(self, large: bool = False) -> int:
        """One row, all zero."""
        return ~self.large.claim_one() if large else self.small.claim_one()

    def release_one(self, row: int) -> None:
        """Takes one row back."""
        if row < 0:
            self.large.release_one(~row)
        else:
            self.small.release_one(row)

    def trim(self) -> None:
        """Gives memory of rows that are free back to the system."""
        self.small.trim()
        self.large.trim()

    def widen(self, row: int) -> int:
        """Moves a row of the small tally to the large one; gives its new number."""
        new = self.large.claim_one()
        for name, array in self.large.arrays.items():
            array[new] = self.small.counted(name, np.array([row]))[0]
        self.small.release_one(row)
        return ~new

    def at(self, row: int) -> tuple[Tally, int]:
        """The tally that a row is of, and its number there."""
        return (self.large, ~row) if row < 0 else (self.small, row)

    def counted(self, name: str, rows: IntArray) -> npt.NDArray[Any]:
        """One of the arrays, as many rows of it as are asked for, in the type of the large one."""
        wide = self.large.arrays[name]
        if len(rows) == 1:  # at low load windows close one by one
            if rows[0] < 0:
                return wide[~rows]
            return self.small.counted(name, rows).astype(wide.dtype, copy=False)
        many = rows < 0
        if many.all():
            return wide[~rows]
        if not many.any():
            return self.small.counted(name, rows).astype(wide.dtype, copy=False)
        found = np.empty((len(rows), *wide.shape[1:]), dtype=wide.dtype)
        found[many], found[~many] = wide[~rows[many]], self.small.counted(name, rows[~many])
        return found

    def dump(self, rows: IntArray) -> list[bytes]:
        """Each row as bytes: the same whichever tally it is of. Most counts are zero, and only the
        others are stored, with their places."""
        found = [b""] * len(rows)
        for tally, chosen in ((self.small, rows >= 0), (self.large, rows < 0)):
            places = np.flatnonzero(chosen)
            for first in range(0, len(places), _AT_ONCE):
                part = places[first : first + _AT_ONCE]
                numbers = rows[part]
                packed = _packed(tally, ~numbers if tally is self.large else numbers)
                for place, each in zip(part.tolist(), packed, strict=True):
                    found[place] = each
        return found

    def load(self, data: bytes) -> int:
        """A new row with what `dump` gave of one. Raises ValueError where that is of another
        schema."""
        sums, counts = _unpacked(data, self.large)
        most = max(int(counts.max(initial=0)), *sums[[N, PAIRS, SCORED]].tolist())
        row = self.claim_one(large=most > FEW)
        try:
            self._fill(row, sums, _SUMS)
            self._fill(row, counts, _COUNTS)
        except ValueError:
            self.release_one(row)
            raise
        return row

    def _fill(self, row: int, values: IntArray, names: tuple[str, ...]) -> None:
        tally, number = self.at(row)
        first = 0
        for name in names:
            size = self.large.arrays[name][0].size
            tally.put(name, number, values[first : first + size])
            first += size


def _packed(tally: Tally, rows: IntArray) -> Iterator[bytes]:
    n = len(rows)
    sums = np.concatenate([tally.counted(name, rows).reshape(n, -1) for name in _SUMS], axis=1)
    parts = [tally.counted(name, rows).reshape(n, -1) for name in _COUNTS]
    counts = np.concatenate(parts, axis=1)
    flat = np.flatnonzero(counts != 0)  # much faster than of the counts themselves
    begins = np.arange(n + 1) * counts.shape[1]
    bounds = np.searchsorted(flat, begins)
    place = flat - np.repeat(begins[:-1], np.diff(bounds))
    ends = bounds.tolist()
    values = counts.reshape(-1)[flat]
    widths = [_width(int(high)) for high in counts.max(axis=1, initial=0)]
    whole, where = sums.astype("<i8").tobytes(), place.astype("<u2").tobytes()
    by_width = {w: values.astype(f"<u{w}").tobytes() for w in dict.fromkeys(widths)}
    size = 8 * sums.shape[1]
    for i, (width, first, end) in enumerate(zip(widths, ends, ends[1:], strict=False)):
        yield b"".join(
            (
                _HEAD.pack(end - first, width),
                whole[i * size : (i + 1) * size],
                where[2 * first : 2 * end],
                by_width[width][width * first : width * end],
            )
        )


def _width(high: int) -> int:
    """The bytes that a count takes."""
    return 1 if high < 1 << 8 else 2 if high < 1 << 16 else 4


def _unpacked(data: bytes, tally: Tally) -> tuple[IntArray, IntArray]:
    if len(data) < _HEAD.size:
        raise ValueError(f"only {len(data)} bytes of counts")
    sums, counts = (sum(tally.arrays[n][0].size for n in names) for names in (_SUMS, _COUNTS))
    n, width = _HEAD.unpack_from(data)
    begin = _HEAD.size + 8 * sums
    if width not in (1, 2, 4) or len(data) != begin + (2 + width) * n:
        raise ValueError(f"{len(data)} bytes of counts, which say they are others")
    found = np.zeros(counts, dtype=np.int64)
    places = np.frombuffer(data, "<u2", n, begin).astype(np.int64)
    if n and int(places.max()) >= counts:
        raise ValueError("counts of another schema")
    found[places] = np.frombuffer(data, f"<u{width}", n, begin + 2 * n)
    return np.frombuffer(data, "<i8", sums, _HEAD.size).astype(np.int64), found
