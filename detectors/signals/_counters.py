"""Counters: how fast something that only grows grew, from its readings in a window.

Readings are pairs of integers, shape (k, 2): the bits of the time and of the value as float64. They
are a set: merging is their union, so that neither order nor repetition changes it.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping

import numpy as np

from watchkeeper.detectors.types import FloatArray, IntArray, Partial

READINGS = "readings"  # of this window
BEFORE = "before"  # the last one of the window before
MOST = 64  # readings of one counter in one window that are kept
_CUT = "\x1f"

_Bits = tuple[int, int]


class MetricCounts(Partial):
    """A part of a window of metrics: readings of counters are united, all else is added up.

    Of more than MOST readings the first, the last and those with the lowest hash are kept, whatever
    order they came in; of those of the window before only the last.
    """

    def merge(self, other: Mapping[str, IntArray]) -> None:
        """Adds another part of the same window."""
        super().merge({name: array for name, array in other.items() if not is_readings(name)})
        for name, theirs in other.items():
            if is_readings(name):
                mine = self.get(name)
                both = theirs if mine is None else np.concatenate((mine, theirs))
                self[name] = latest(both) if name.endswith(BEFORE) else kept(both)


def is_readings(name: str) -> bool:
    """Whether a part's array of this name holds readings."""
    return name.rpartition(_CUT)[2] in (READINGS, BEFORE)


def readings(at: FloatArray, values: FloatArray) -> IntArray:
    """Finite times and values as readings, those that are kept."""
    pairs = np.empty((len(at), 2))
    pairs[:, 0], pairs[:, 1] = at, values
    return kept(pairs.view(np.int64))


def kept(pairs: IntArray) -> IntArray:
    """The readings without repetition, in order of time and value, at most MOST."""
    if len(pairs) < 2:
        return pairs.copy()
    order = _ordered(pairs)
    if len(order) > MOST:
        lowest = sorted(order[1:-1], key=_hash)[: MOST - 2]
        chosen = {order[0], *lowest, order[-1]}
        order = [pair for pair in order if pair in chosen]
    return np.array(order, dtype=np.int64)


def latest(pairs: IntArray) -> IntArray:
    """The last reading alone."""
    return pairs.copy() if len(pairs) < 2 else np.array(_ordered(pairs)[-1:], dtype=np.int64)


def _ordered(pairs: IntArray) -> list[_Bits]:
    known: dict[_Bits, list[float]] = {}
    for bits, numbers in zip(pairs.tolist(), pairs.view(np.float64).tolist(), strict=True):
        known[bits[0], bits[1]] = numbers
    return sorted(known, key=lambda bits: (known[bits], bits))  # the bits tell -0.0 from 0.0


def rate(here: IntArray, before: IntArray | None) -> float | None:
    """The increase per second between the first and the last reading; None where one alone, or
    what is no finite number, says nothing.

    A counter that fell began anew at zero. Each increase is one window's: the first is that since
    the last reading of the window before, where there was one.
    """
    pairs = kept(here) if before is None else np.concatenate((latest(before), kept(here)))
    numbers: list[list[float]] = pairs.view(np.float64).tolist()
    seconds = numbers[-1][0] - numbers[0][0]
    if not seconds > 0:
        return None
    grown, last = 0.0, numbers[0][1]
    for _, value in numbers[1:]:
        grown += value - last if value >= last else max(value, 0.0)
        last = value
    found = grown / seconds
    return found if math.isfinite(found) else None


def _hash(pair: _Bits) -> bytes:
    return hashlib.blake2b(struct.pack("<2q", *pair), digest_size=8).digest()
