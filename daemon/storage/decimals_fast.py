"""Real numbers as parts of one, in compiled loops: the same numbers as by `decimals`, sooner."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.storage.decimals import Wholes
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.types import FloatArray

Bits = npt.NDArray[np.int64]

_NAN = int(np.array([np.nan]).view(np.int64)[0])


def fill(column: FloatArray, parts: int, held: Wholes) -> bool:
    """As `decimals.fill`."""
    run, most = _RUNS[held.itemsize]
    column = np.ascontiguousarray(column)
    fits: bool = run(column, column.view(np.int64), parts, most / parts, ~most, held)
    return fits


def _example(kind: npt.DTypeLike) -> tuple[Any, ...]:
    given = np.zeros(1)
    given.flags.writeable = False
    return given, given.view(np.int64), 1, 1.0, 0, np.zeros(1, dtype=kind)


@kernel(partial(_example, np.int16))
def _short(
    column: FloatArray, bits: Bits, parts: int, furthest: float, least: int, held: Wholes
) -> bool:
    for i in range(len(column)):
        value = column[i]
        if value != value:
            if bits[i] != _NAN:
                return False
            held[i] = least
            continue
        if not -furthest <= value <= furthest:
            return False
        whole = np.rint(value * parts)
        if whole / parts != value or (value == 0.0 and bits[i] != 0):
            return False
        held[i] = whole
    return True


_long = kernel(partial(_example, np.int32))(_short.function)
_RUNS = {2: (_short, 2**15 - 1), 4: (_long, 2**31 - 1)}  # and the most that there is of a kind
