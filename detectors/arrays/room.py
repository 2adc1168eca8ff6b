"""Room for arrays that live long."""

from __future__ import annotations

import mmap
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import IntArray

OWN = 256 * 1024  # bytes from which on an array lies in a mapping of its own
_WORTH = 64 * 1024  # bytes in one piece that are worth a call


def zeros(shape: tuple[int, ...], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """Zeros that take memory as they are written, page by page.

    A large array lies in a mapping of its own: what is never written takes none, and all of it goes
    back to the system when the array is given up, however crowded the heap is by then.
    """
    kind = np.dtype(kind)
    size = prod(shape) * kind.itemsize
    if size < OWN:
        return np.zeros(shape, dtype=kind)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return np.ndarray(shape, dtype=kind, buffer=mmap.mmap(-1, size, flags=flags))


def discard(array: npt.NDArray[Any], firsts: IntArray, ends: IntArray) -> None:
    """Gives the memory of these stretches of rows back to the system, as far as they are whole
    pages of a mapping of its own. What is in them means nothing from then on."""
    base = array.base
    if not isinstance(base, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    row, page = array.strides[0], mmap.PAGESIZE
    begins = -(-firsts * row // page) * page
    sizes = ends * row // page * page - begins
    for place in np.flatnonzero(sizes >= _WORTH).tolist():
        base.madvise(mmap.MADV_DONTNEED, int(begins[place]), int(sizes[place]))


def longer(table: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """The table with its second axis longer, in room of its own. What is zero throughout, along the
    first axis, is not written."""
    wider = zeros((len(table), length, *table.shape[2:]), table.dtype)
    many = max(OWN // max(table[:1].nbytes, 1), 1)
    for first in range(0, len(table), many):
        written = is_written(table[first : first + many])
        used = written.any(axis=tuple(range(1, table.ndim)))
        for place in (np.flatnonzero(used) + first).tolist():
            wider[place, : table.shape[1]] = table[place]
    return wider


def is_written(numbers: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which numbers are more than room that was never written; a negative zero is."""
    return np.asarray(numbers.view(f"i{numbers.itemsize}") != 0)
