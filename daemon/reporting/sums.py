"""What steps counted, added up until the page of metrics is read."""

from __future__ import annotations

import threading

import numpy as np

from watchkeeper.daemon.core.counting import Counted, Happened
from watchkeeper.detectors.types import IntArray


class Sums:
    """Adds up what happened to the events of each model. From any thread.

    A step may tell of thousands of models: they are added by their rows, and named when somebody
    asks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sum = Counted.nothing()
        self._renamed: list[Counted] = []

    def add(self, counted: Counted) -> None:
        """Takes in what one step counted."""
        if not len(counted.rows):
            return
        with self._lock:
            if counted.names is not self._sum.names:
                self._begin(counted)
            self._sum.n[:, counted.rows] += counted.n

    def take(self) -> Counted:
        """What was counted since the last call, and begins anew."""
        with self._lock:
            known, self._sum = self._sum, Counted.nothing()
            parts, self._renamed = [*self._renamed, known.condensed()], []
        return Counted.together(parts)

    def _begin(self, counted: Counted) -> None:
        """The rows have other names from now on: what is known under those of before is put aside,
        as one, since nobody may ask for long."""
        self._renamed = [Counted.together([*self._renamed, self._sum.condensed()])]
        n: IntArray = np.zeros((len(Happened), len(counted.names)), dtype=np.int64)
        self._sum = Counted(counted.names, np.arange(len(counted.names)), n)
