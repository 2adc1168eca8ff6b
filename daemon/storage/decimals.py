"""Real numbers by how many parts of one they are, where that loses no bit: half a byte a digit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors import fast
from watchkeeper.detectors.types import FloatArray

Wholes = npt.NDArray[np.signedinteger[Any]]


def of_reals(column: FloatArray, parts: int, kind: npt.DTypeLike) -> Wholes | None:
    """How many parts each number is, NaN the least number of the kind; None where one of them is
    not exactly that many, is too large, or is a zero below zero or an odd NaN."""
    held: Wholes = np.empty(len(column), dtype=kind)
    fits = _compiled() if fast.available() else fill
    return held if fits(column, parts, held) else None


def to_reals(held: Wholes, parts: int) -> FloatArray:
    """The numbers of which `of_reals` gave these."""
    found: FloatArray = held / np.float64(parts)
    found[held == np.iinfo(held.dtype).min] = np.nan
    return found


def fill(column: FloatArray, parts: int, held: Wholes) -> bool:
    """Fills `held`; False where a number does not fit. `decimals_fast` does the same."""
    kind = np.iinfo(held.dtype)
    missing = np.isnan(column)
    real = np.where(missing, 0.0, column)
    furthest = kind.max / parts
    if len(real) and not -furthest <= real.min() <= real.max() <= furthest:
        return False
    held[:] = np.rint(real * parts)
    held[missing] = kind.min
    return bool((to_reals(held, parts).view(np.int64) == column.view(np.int64)).all())


def _compiled() -> Any:
    from watchkeeper.daemon.storage import decimals_fast  # of use only with numba

    return decimals_fast.fill
