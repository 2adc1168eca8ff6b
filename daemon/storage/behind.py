"""Columns of which parts stand one behind the other, as they are stored: each part is brought into
its form while it is at hand, so that nothing is copied twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.storage.columns import (
    CODES,
    MISSING,
    STEPS,
    Column,
    base_of,
    is_missing,
    narrow,
    raw,
    steps_from,
)
from watchkeeper.detectors.gathered import merged_names
from watchkeeper.detectors.texts import Codes, Words
from watchkeeper.detectors.types import FloatArray

_FEW = 64  # names

T = TypeVar("T")


def times(parts: Sequence[FloatArray]) -> Column:
    """Times in seconds, as `columns.times` has them."""
    base = base_of(parts[0])
    found = np.empty(sum(map(len, parts)), dtype=np.int32)
    end = 0
    for part in parts:
        steps = steps_from(base, part)
        if steps is None:
            return Column(*raw(np.concatenate(parts)))
        found[end : end + len(part)] = steps
        end += len(part)
    form, data = raw(found)
    return Column(STEPS + form, data, base=base)


def reals(parts: Sequence[FloatArray]) -> Column:
    """Real numbers; no room for a column in which nothing is given."""
    if all(is_missing(part) for part in parts):
        return Column(MISSING)
    return Column(*raw(np.concatenate(parts)))


def words(parts: Sequence[Words]) -> Column:
    """Text that repeats."""
    names, codes = places([(part.words, part.codes) for part in parts], 1)
    form, data = raw(codes) if codes.any() else (MISSING, b"")
    return Column(CODES + form, data, names)


def places(
    parts: Sequence[tuple[tuple[T, ...], Codes]], first: int = 0
) -> tuple[tuple[T, ...], npt.NDArray[Any]]:
    """All names, and each row's place among them, counted from `first`; below that where it has
    none."""
    names, numbers = merged_names([own for own, _ in parts])
    found = np.empty(sum(len(codes) for _, codes in parts), narrow(0, len(names) - 1 + first))
    begin = end = 0
    for own, codes in parts:
        here, end = end, end + len(codes)
        mine = numbers[begin : begin + len(own)]
        begin += len(own)
        if len(own) <= _FEW and mine.tolist() == [*range(len(own))]:
            np.add(codes, first, out=found[here:end], casting="unsafe")
            continue
        stored = np.full(len(own) + 1, first - 1, found.dtype)
        stored[:-1] = mine + first
        found[here:end] = stored[codes]
    return names, found
