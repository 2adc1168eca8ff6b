"""Rows of a block by the window that they fall into."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.frames import BoolArray, IntArray
from watchkeeper.detectors.texts import Codes

MANY = 64  # rows of a window from which on it is worth a call of its own


class Runs(NamedTuple):
    """Rows sorted by slot: each row's slot and reference, each run's, and where runs begin."""

    slot: IntArray
    ref: IntArray
    slots: IntArray
    refs: IntArray
    cuts: IntArray
    n: int

    def sums(self, values: IntArray | BoolArray) -> IntArray:
        """The sum of the rows' values, by run."""
        total: IntArray = np.add.reduceat(values, self.cuts, dtype=np.int64)
        return total

    def numbers(self, first: IntArray) -> IntArray:
        """The number of each row in its run, where a run's first one has the number given."""
        return np.arange(self.n) + np.repeat(first - self.cuts, self.lengths)

    @property
    def one(self) -> bool:
        """Whether all rows are of one window."""
        return len(self.slots) == 1

    @property
    def many(self) -> bool:
        """Whether a window has so many rows that it is worth calls of its own."""
        return self.one or self.n >= MANY * len(self.slots)

    def counts(self, rows: IntArray | slice, bins: IntArray | Codes, width: int) -> IntArray:
        """How many of the chosen rows fall into each bin, by run."""
        run = np.repeat(np.arange(0, len(self.slots) * width, width), self.lengths)[rows]
        run += bins
        return np.bincount(run, minlength=len(self.slots) * width).reshape(-1, width)

    @property
    def lengths(self) -> IntArray:
        """How many rows each run has."""
        return np.diff(np.append(self.cuts, self.n))
