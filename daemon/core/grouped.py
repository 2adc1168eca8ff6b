"""Finds all rows of one model on one side of the label join."""

from __future__ import annotations

import numpy as np

from watchkeeper.daemon.core.keyed import FIRST
from watchkeeper.daemon.core.side import Rows, Side
from watchkeeper.detectors.types import IntArray

_TAIL = 4_096  # rows that are searched one by one before all are grouped by model anew


class Grouped:
    """The rows of a side, sorted by model when one model's are asked for: so these are found
    without a look at all."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self.forget()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._order.nbytes + self._starts.nbytes

    def forget(self) -> None:
        """The rows were numbered anew."""
        self._order: IntArray = np.zeros(0, dtype=np.int64)
        self._starts: IntArray = np.zeros(1, dtype=np.int64)
        self._grouped = (-1, 0)

    def rows(self, model: int) -> Rows:
        """One model's rows, also those that are not alive any more."""
        table = self._side.table
        epoch, end = self._grouped
        if epoch != table.epoch or table.end - end > max(_TAIL, end // 8):
            self._group()
            end = table.end
        start, stop = np.searchsorted(self._starts, [model, model + 1])
        tail = np.flatnonzero(self._side.models(table.rows[end : table.end]) == model) + end
        return table.rows.take(np.concatenate([self._order[start:stop], tail]))

    def _group(self) -> None:
        table = self._side.table
        models = self._side.models(table.used())
        order = np.argsort(models, kind="stable")
        self._order, self._starts = order + FIRST, models[order].astype(np.int64)
        self._grouped = table.epoch, table.end
