"""A sample of a window's rows: those of the lowest keys, with the bins their features fell into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.profile import JOINT_FEATURES
from watchkeeper.detectors.types import Partial

MOST = 256  # rows of a window that are looked at
MISSING = 255
ROWS = "rows:"  # what the names of such arrays begin with; the reference's own name follows
_WORDS = JOINT_FEATURES // 8

Bins = npt.NDArray[np.uint8]  # (rows, JOINT_FEATURES): the bin of each feature


class Rows(Partial):
    """A part of a window; `rows:*` hold the bits of a row's key and of its bins, (k, 5), in order
    of the keys. A row that is among the lowest of the whole is so in the part it came in, so what
    is kept does not hang on how events were cut and merged."""

    def merge(self, other: Mapping[str, IntArray]) -> None:
        """Adds another part of the same window."""
        for name, theirs in other.items():
            mine = self.get(name)
            self[name] = _lowest(theirs if mine is None else np.concatenate((mine, theirs)))


def candidates(keys: Keys, before: IntArray | None) -> IntArray:
    """The places of the keys that can be in the sample beside the rows `before`."""
    places = np.arange(len(keys))
    if before is not None and len(before) >= MOST:
        places = np.flatnonzero(keys <= before[-1:, 0].copy().view(np.uint64))
    if len(places) <= MOST:
        return places
    different = np.unique(keys[places])
    return np.asarray(places[keys[places] <= different[min(MOST, len(different)) - 1]])


def coded(columns: Sequence[FloatArray | None], edges: Sequence[FloatArray], n: int) -> Bins:
    """The bins of `n` rows; missing features, and those that there are not, have one of theirs."""
    bins = np.full((n, JOINT_FEATURES), MISSING, dtype=np.uint8)
    for place, (column, cuts) in enumerate(zip(columns, edges, strict=True)):
        if column is not None:
            found = np.searchsorted(cuts, column, side="right")
            bins[:, place] = np.where(np.isfinite(column), found, MISSING)
    return bins


def sampled(keys: Keys, bins: Bins) -> IntArray:
    """The array of a part: rows of these keys with their bins."""
    words = np.ascontiguousarray(bins).view("<i8").astype(np.int64)
    return _lowest(np.concatenate([keys.view(np.int64)[:, None], words], axis=1))


def bins_of(rows: IntArray) -> Bins:
    """The bins of an array's rows."""
    return np.ascontiguousarray(rows[:, 1:].astype("<i8")).view(np.uint8)


def _lowest(rows: IntArray) -> IntArray:
    """The rows of the lowest keys, each key once."""
    columns = [rows[:, place] for place in range(_WORDS, 0, -1)]
    ordered = rows[np.lexsort([*columns, np.ascontiguousarray(rows[:, 0]).view(np.uint64)])]
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = ordered[1:, 0] != ordered[:-1, 0]
    return ordered[first][:MOST]
