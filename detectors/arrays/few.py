"""Tallies of few events, which cost less to remember one by one than to count in many bins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.room import longer
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.frames import IntArray
from watchkeeper.detectors.signals.accuracy import SCORE_BINS

FEW = 255  # events that a small integer can count

_WIDTHS = {"durations": (t.DURATIONS,), "scores": (2, SCORE_BINS)}
_COLUMNS = {"durations": t.N, "scores": t.SCORED}  # of `head`: how many there are


class Few(t.Tally):
    """A tally whose rows have at most `FEW` predictions, and as many pairs.

    `singles` holds the durations and the scores: in [i, row] the bin of the row's i-th prediction
    or scored pair, from 1 on, 0 for one that has none. A score's bin is that of `scores` flattened.
    What is behind the last one of a row means nothing; what no row has come to takes no memory.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema, np.uint8, tuple(_WIDTHS))
        self.singles: dict[str, npt.NDArray[np.uint16]] = {
            name: np.zeros((FEW, self._room), dtype=np.uint16) for name in _WIDTHS
        }

    @property
    def nbytes(self) -> int:
        """The memory of all arrays once a row is full."""
        return super().nbytes + sum(table.nbytes for table in self.singles.values())

    def counted(self, name: str, rows: IntArray) -> npt.NDArray[Any]:
        """As of every tally: the singles are counted for it."""
        if name not in self.singles:
            return super().counted(name, rows)
        n = self.arrays["head"][rows, _COLUMNS[name]]
        bins = self.singles[name][: int(n.max(initial=0)), rows].astype(np.int64)
        if n.min(initial=FEW) < len(bins):
            bins[np.arange(len(bins))[:, None] >= n] = 0
        width = math.prod(_WIDTHS[name]) + 1  # the first one is of those that have none
        bins += np.arange(len(rows)) * width
        found = np.bincount(bins.reshape(-1), minlength=len(rows) * width)
        found = found.reshape(len(rows), width)[:, 1:].astype(np.uint8)
        return found.reshape(len(rows), *_WIDTHS[name])

    def put(self, name: str, row: int, counts: IntArray) -> None:
        """As of every tally; `head` comes first. Raises ValueError where it says another number."""
        if name not in self.singles:
            super().put(name, row, counts)
            return
        n = int(self.arrays["head"][row, _COLUMNS[name]])
        bins = np.repeat(np.arange(1, counts.size + 1), counts.reshape(-1))
        if len(bins) > n:
            raise ValueError(f"counts of {len(bins)} {name}, which say they are of {n} events")
        self.singles[name][:n, row] = np.append(bins, np.zeros(n - len(bins), dtype=np.int64))

    def _grow(self, least: int) -> None:
        super()._grow(least)
        self.singles = {name: longer(table, self._room) for name, table in self.singles.items()}
