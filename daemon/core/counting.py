"""What happened to the events of each model in one step, counted by the models' rows."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from watchkeeper.daemon.core.step import Counts
from watchkeeper.detectors.types import IntArray, ObjectArray


class Happened(IntEnum):
    """The fields of `Counts`, in their order."""

    PREDICTIONS = 0
    LABELS = 1
    LATE = 2
    JOINED = 3
    UNMATCHED = 4
    CONFLICTS = 5


class Counting:
    """Adds up whole columns of events; `told` gives what they came to, and begins anew."""

    def __init__(self) -> None:
        self._n: IntArray = np.zeros((len(Happened), 0), dtype=np.int64)

    def add(self, what: Happened, models: IntArray) -> None:
        """One for each event; `models` are the rows of theirs."""
        if not len(models):
            return
        counts = np.bincount(models)
        self._reach(len(counts))
        self._n[what, : len(counts)] += counts

    def add_to(self, what: Happened, model: int, n: int) -> None:
        """So many of one model."""
        self._reach(model + 1)
        self._n[what, model] += n

    def told(self, names: ObjectArray, into: dict[str, Counts]) -> None:
        """Adds what was counted to the models' counts, by the names of the rows."""
        rows = np.flatnonzero(self._n.any(axis=0))
        columns = self._n[:, rows].T.tolist()
        for name, column in zip(names[rows].tolist(), columns, strict=True):
            if name is None:  # forgotten meanwhile
                continue
            known = into.get(name)
            if known is None:
                into[name] = Counts(*column)
            else:
                known.add(Counts(*column))
        self._n[:, rows] = 0

    def _reach(self, rows: int) -> None:
        more = rows - self._n.shape[1]
        if more > 0:
            self._n = np.pad(self._n, ((0, 0), (0, max(more, self._n.shape[1]))))
