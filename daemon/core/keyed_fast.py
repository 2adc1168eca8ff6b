"""The index of keyed rows in compiled loops: the same rows are found as by `keyed.Index`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.core.keyed import ROW, Index, Numbers
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.keys import Keys

Table = npt.NDArray[Any]


def _example_of_find() -> tuple[Any, ...]:
    known = np.zeros(2, dtype=ROW)["key"]
    places = np.zeros(4, dtype=np.int32)
    return np.zeros(1, dtype=np.uint64), known, places, np.zeros(1, dtype=np.int32)


@kernel(_example_of_find)
def find_rows(keys: Table, known: Table, places: Table, rows: Table) -> None:
    """Fills `rows` with the row of each key; 0 where there is none."""
    mask = np.uint64(len(places) - 1)
    for i in range(len(keys)):
        key = keys[i]
        here = (key >> np.uint64(20)) & mask
        step = (key >> np.uint64(7)) | np.uint64(1)
        row = places[here]
        while row != 0 and known[row] != key:
            here = (here + step) & mask
            row = places[here]
        rows[i] = row


def _example_of_put() -> tuple[Any, ...]:
    rows = np.zeros(1, dtype=np.int32)
    known = np.zeros(2, dtype=ROW)["key"]
    return np.ones(1, dtype=np.uint64), rows, known, np.zeros(4, dtype=np.int32), rows.copy()


@kernel(_example_of_put)
def put_rows(keys: Table, rows: Table, known: Table, places: Table, lost: Table) -> int:
    """Makes rows known; fills `lost` with those that nobody finds any more, says how many."""
    mask = np.uint64(len(places) - 1)
    n = 0
    for i in range(len(keys)):
        key, row = keys[i], rows[i]
        here = (key >> np.uint64(20)) & mask
        step = (key >> np.uint64(7)) | np.uint64(1)
        held = places[here]
        while held != 0 and known[held] != key:
            here = (here + step) & mask
            held = places[here]
        if held > row:
            lost[n] = row
            n += 1
            continue
        if held != 0:
            lost[n] = held
            n += 1
        places[here] = row
    return n


class CompiledIndex(Index):
    """See `Index`."""

    def find(self, keys: Keys, known: Keys) -> Numbers:
        rows = np.empty(len(keys), dtype=np.int32)
        find_rows(np.ascontiguousarray(keys), known, self._places, rows)
        return rows

    def put(self, keys: Keys, rows: Numbers, known: Keys) -> Numbers:
        lost = np.empty(len(keys), dtype=np.int32)
        chosen = np.ascontiguousarray(rows, dtype=np.int32)
        n = put_rows(np.ascontiguousarray(keys), chosen, known, self._places, lost)
        return lost[:n]
