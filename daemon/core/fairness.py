"""How much each of many models may keep where all together want too much."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.types import IntArray

MOST_BYTES = 2 << 30  # of label joins, if nothing else is said
_ROW_BYTES = 120  # of one row among many, with its part of an index and of the room for more
_WAITING = 8


def parts(most_bytes: int) -> tuple[int, int]:
    """How many predictions and how many labels that wait may be kept, in rows: seven to one, since
    labels seldom wait."""
    rows = most_bytes // _ROW_BYTES
    return rows - rows // _WAITING, rows // _WAITING


def level(wanted: IntArray, most: int) -> int | None:
    """The most that one may have, so that all together have no more than `most`; None where each
    can have what it wants.

    Max-min fairness (Bertsekas and Gallager, Data Networks, 2nd ed., 6.5.2): nobody has less for
    one who has more than he.

    >>> level(np.array([1, 10, 10]), 15)
    7
    """
    if int(wanted.sum()) <= most:
        return None
    ordered = np.sort(wanted)
    others = len(ordered) - np.arange(len(ordered))  # those that want at least as much, itself too
    before = np.cumsum(ordered) - ordered
    # The first at whose own wish all together would have too much stays below it.
    first = int(np.argmax(before + ordered * others > most))
    return int((most - before[first]) // others[first])
