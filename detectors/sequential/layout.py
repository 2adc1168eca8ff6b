"""What is kept of a series: little-endian records of a fixed layout, in arrays over series."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import IntArray
from watchkeeper.detectors.types import StateError

Records = npt.NDArray[np.void]
Fields = list[tuple[Any, ...]]

SIDE = 16  # of the gaps' square: blocks, and gaps in each
GAPS = SIDE * SIDE  # into which the values learned first cut the line
EDGES = GAPS - 1
# Places in a record of evidence, from `seen` on.
SEEN, LEARNED, BETS, STAGE, VALUES, RANKS, EVIDENCE = 0, 1, 2, 3, 4, 8, 12
_STAMP = 8


def evidence_fields(kinds: int) -> Fields:
    """What betting on the values of one series needs, 96 bytes and 8 for each kind of bet.

    `evidence` are the Shiryaev-Roberts sums of the bets. `seen` counts the values, `learned` those
    that ranks are taken among, `bets` those that were bet on. `stage` says whether correlation was
    tested for, and found. `mean`, `variance`, `covariance` and `last` are those of the values,
    `rank_*` those of their ranks.
    """
    counts = ("seen", "learned", "bets", "stage")
    moments = ("mean", "variance", "covariance", "last")
    numbers = [*moments, *(f"rank_{name}" for name in moments)]
    return [
        *((name, "<i8") for name in counts),
        *((name, "<f8") for name in numbers),
        ("evidence", "<f8", (kinds,)),
    ]


def sketch_fields() -> Fields:
    """The history of one series: edges in order, and how many values fell between them.

    `tops` are the last edges of the blocks of gaps, `sums` the counts of the blocks; `ties` are
    the lots by which values equal to an edge are put before or behind it.
    """
    return [
        ("edges", "<f8", (GAPS,)),
        ("tops", "<f8", (SIDE,)),
        ("counts", "<u4", (GAPS,)),
        ("sums", "<u4", (SIDE,)),
        ("ties", "<u2", (GAPS,)),
    ]


def stamp_of(name: str, *parts: Records) -> bytes:
    """8 bytes that tell a layout from others."""
    text = f"{name} {[part.dtype.descr for part in parts]}"
    return hashlib.blake2b(text.encode(), digest_size=_STAMP).digest()


def dumped(stamp: bytes, parts: list[Records], row: int) -> bytes:
    """One row of each array behind the stamp."""
    return stamp + b"".join(part[row].tobytes() for part in parts)


def undumped(stamp: bytes, parts: list[Records], stored: bytes) -> list[Records]:
    """The rows, one of each array, that `dumped` gave. Raises `StateError` for anything else."""
    if stored[:_STAMP] != stamp:
        raise StateError("stored state has another layout")
    size = _STAMP + sum(part.dtype.itemsize for part in parts)
    if len(stored) != size:
        raise StateError(f"stored state has {len(stored)} bytes, not {size}")
    rows, at = [], _STAMP
    for part in parts:
        rows.append(np.frombuffer(stored, dtype=part.dtype, count=1, offset=at))
        at += part.dtype.itemsize
    return rows


def grown(part: Records, rows: int) -> Records:
    """The array with room for so many rows, a quarter more than before at least."""
    if rows <= len(part):
        return part
    wider = np.zeros((max(rows, len(part) + len(part) // 4), *part.shape[1:]), dtype=part.dtype)
    wider[: len(part)] = part
    return wider


def reach(rows: IntArray) -> int:
    """How many rows an array must have to hold these."""
    return int(rows.max()) + 1 if len(rows) else 0
