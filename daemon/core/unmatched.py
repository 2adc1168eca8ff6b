"""Counts of the labels that were not joined."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.types import BoolArray, IntArray

_Models = npt.NDArray[np.integer[Any]]


class Unmatched:
    """What became of labels that were not joined, by model, since it was met; `n` are those of all
    models. A label that waits in vain counts when `Joins.sweep` comes by it.

    `conflicts` came behind another of their request, `orphans` found no prediction; of those that
    were `not_sampled` it is, or may be, that their request was not kept.
    """

    def __init__(self) -> None:
        self.n = 0
        self.conflicts, self.orphans, self.not_sampled = _zeros(0), _zeros(0), _zeros(0)

    def grow(self, more: int) -> None:
        """There are so many more models."""
        self.conflicts = np.append(self.conflicts, _zeros(more))
        self.orphans = np.append(self.orphans, _zeros(more))
        self.not_sampled = np.append(self.not_sampled, _zeros(more))

    def forget(self, models: IntArray) -> None:
        """Begins these models anew."""
        self.conflicts[models] = self.orphans[models] = self.not_sampled[models] = 0

    def conflict(self, models: _Models) -> None:
        """Labels of these models came behind another of their request."""
        self._add(self.conflicts, models)

    def lose(self, models: _Models, sure: BoolArray) -> None:
        """Labels of these models waited in vain; it is `sure` that their prediction would have been
        kept."""
        self._add(self.orphans, models[sure])
        self._add(self.not_sampled, models[~sure])

    def leave_out(self, models: _Models) -> None:
        """Labels came of requests that are not kept."""
        self._add(self.not_sampled, models)

    def _add(self, to: IntArray, models: _Models) -> None:
        if len(models):
            np.add.at(to, models, 1)
            self.n += len(models)


def _zeros(n: int) -> IntArray:
    return np.zeros(n, dtype=np.int64)
