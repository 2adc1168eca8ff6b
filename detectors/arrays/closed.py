"""Closed windows of one schema, ready to be sampled; and the groups of series they are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays.rates import Measured
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.tally import ABSENT, HEAD, MISSING, Tally
from watchkeeper.detectors.arrays.tiers import Tiers
from watchkeeper.detectors.frames import BoolArray, IntArray

_PART = 128  # windows


class Closed:
    """Rows of a tally and the rows of their references; `live`: the version is the live one."""

    def __init__(
        self,
        tally: Tally | Tiers,
        references: References,
        slots: IntArray,
        refs: IntArray,
        live: BoolArray,
    ) -> None:
        self.schema = tally.schema
        self.live = live
        self._tally, self._references = tally, references
        self._slots, self._refs = slots, refs

    @cached_property
    def head(self) -> IntArray:
        """The columns of `Tally.head`, each of shape (R, 1)."""
        rows = self.counted("head")
        return np.ascontiguousarray(rows.T).reshape(HEAD, -1, 1)

    @cached_property
    def numeric(self) -> npt.NDArray[np.int32]:
        """What was counted of numeric columns, (R, P, NUMERIC)."""
        return self.counted("numeric")

    @cached_property
    def texts(self) -> npt.NDArray[np.int32]:
        """What was counted of categorical columns, (R, Q, TEXTS)."""
        return self.counted("texts")

    @cached_property
    def absent(self) -> tuple[IntArray, IntArray, IntArray]:
        """How many events lack each feature, numeric ones first; and how many did, of how many
        events of the reference."""
        numbers = slice(len(self.schema.numeric))
        texts = slice(len(self.schema.categorical))
        here = self.numeric[:, numbers, MISSING], self.texts[:, texts, ABSENT]
        known = self.reference("missing")[:, numbers], self.reference("c_missing")[:, texts]
        of = self.reference("known")[:, numbers], self.reference("c_known")[:, texts]
        return _wide(*here), _wide(*known), _wide(*of)

    def parts(self, of: IntArray | None = None) -> list[IntArray]:
        """All windows, or some, in parts of which long rows fit the processor's memory."""
        rows = np.arange(len(self._slots)) if of is None else of
        return [rows[first : first + _PART] for first in range(0, max(len(rows), 1), _PART)]

    def counted(self, name: str, of: IntArray | None = None) -> npt.NDArray[Any]:
        """An array of the tally, a row a window, or a row each of some of them."""
        return self._tally.counted(name, self._slots if of is None else self._slots[of])

    def reference(self, name: str) -> npt.NDArray[Any]:
        """An array of the references, a row a window."""
        return self._references.read(name, self._refs)


class Group(NamedTuple):
    """Series of one signal that are sampled together; `kind` is what compiled loops call those that
    they sample."""

    signal: str
    targets: tuple[str, ...]
    measure: Callable[[Closed], Measured]
    kind: str = ""


def _wide(*parts: npt.NDArray[np.int32]) -> IntArray:
    return np.concatenate(parts, axis=1).astype(np.int64)


def used(counts: npt.NDArray[Any]) -> tuple[int, int]:
    """The span of bins, the last axis, that any of the counts is in; one bin at least."""
    places = np.flatnonzero(counts.reshape(-1, counts.shape[-1]).any(axis=0))
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 1)
