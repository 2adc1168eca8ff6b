"""Base of what keeps evidence: arrays of records over series, that can be dumped and loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.frames import IntArray
from watchkeeper.detectors.sequential.layout import (
    Fields,
    Records,
    dumped,
    grown,
    reach,
    stamp_of,
    undumped,
)
from watchkeeper.detectors.types import StateError


class Kept(ABC):
    """Rows of records, numbered by the caller; one that was never used has no past."""

    name: ClassVar[str]
    version: ClassVar[int] = 1  # of the meaning of the fields

    def __init__(self, *fields: Fields) -> None:
        self.parts: list[Records] = [np.zeros(1, dtype=np.dtype(each)) for each in fields]
        self.stamp = stamp_of(f"{self.name} {self.version}", *self.parts)

    @abstractmethod
    def sound(self, parts: list[Records]) -> bool:
        """Whether a state read back can be worked with."""

    @property
    def nbytes(self) -> int:
        """The memory the state takes."""
        return sum(part.nbytes for part in self.parts)

    @property
    def bytes_per_series(self) -> int:
        """The bytes of a series' evidence, without the history it is ranked among."""
        return int(self.parts[0].dtype.itemsize)

    def restart(self, rows: IntArray) -> None:
        """Takes these series' evidence back to none, and keeps what was learned of them."""
        self.parts[0]["evidence"][rows[rows < len(self.parts[0])]] = 0.0

    def clear(self, rows: IntArray) -> None:
        """Forgets these series."""
        for part in self.parts:
            part[rows[rows < len(part)]] = np.zeros((), dtype=part.dtype)

    def dump(self, row: int) -> bytes:
        """One series, with a stamp of the layout."""
        self.reach(np.array([row]))
        return dumped(self.stamp, self.parts, row)

    def load(self, row: int, stored: bytes) -> None:
        """Takes up what `dump` gave. Raises `StateError` where it cannot be that."""
        read = undumped(self.stamp, self.parts, stored)
        if not self.sound(read):
            raise StateError("stored state is damaged: numbers that no evidence could have")
        self.reach(np.array([row]))
        for part, one in zip(self.parts, read, strict=True):
            part[row] = one[0]

    def reach(self, rows: IntArray) -> None:
        """Makes room for these rows."""
        self.parts = [grown(part, reach(rows)) for part in self.parts]


def evident(part: Records) -> bool:
    """Whether evidence read back is finite and not negative."""
    evidence = part["evidence"]
    return bool((np.isfinite(evidence) & (evidence >= 0.0)).all())
