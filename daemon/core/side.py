"""One side of the label join: the predictions that are kept, or the labels that wait."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.core import placing
from watchkeeper.daemon.core.keyed import FIRST, Keyed, Numbers
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

Rows = npt.NDArray[np.void]  # of `keyed.ROW`
_WRAP = 0xFFFFFFFF  # sequence numbers go on at 0; those of two kept rows are never this far apart


class Side:
    """The last arrivals of each model, as many as there is room for, found by key.

    A row is alive until `room` others of its model came after it, and while it is no more than
    `horizon` older than the newest time its model has reached. That is seen when it is looked at,
    so what one look-up gives hangs on the model's own events alone. Rows with the complement of
    their owner are marked; what that means is the user's.
    """

    def __init__(self) -> None:
        self.table = Keyed()
        self._placing = placing.quickest()
        self.room: IntArray = np.zeros(0, dtype=np.int64)
        self.horizon: FloatArray = np.zeros(0)
        self._newest: FloatArray = np.zeros(0)
        self._seq = np.zeros(0, dtype=np.uint32)
        self._model_of: Numbers | None = None

    def grow(self, more: int, room: int, horizon: float) -> None:
        """There are so many more models."""
        self.room = np.append(self.room, np.full(more, room, dtype=np.int64))
        self.horizon = np.append(self.horizon, np.full(more, horizon))
        self._newest = np.append(self._newest, np.full(more, -np.inf))
        self._seq = np.append(self._seq, np.zeros(more, dtype=np.uint32))

    def own(self, owners: Numbers, models: IntArray) -> None:
        """These owners are of these models; without it an owner is a model."""
        last = int(owners.max())
        known = np.zeros(0, dtype=np.int32) if self._model_of is None else self._model_of
        if last >= len(known):
            known = np.append(known, np.zeros(last + 1, dtype=np.int32))
        known[owners] = models
        self._model_of = known

    def models(self, rows: Rows) -> Numbers:
        """The models of rows."""
        owner = straight(rows["owner"])
        return owner if self._model_of is None else self._model_of[owner]

    def find(self, models: IntArray, keys: Keys) -> tuple[Numbers, BoolArray]:
        """The row of each key, and whether it is alive."""
        rows = self.table.find(keys)
        if not rows.any():
            return rows, np.zeros(len(rows), dtype=np.bool_)
        return rows, (rows > 0) & self._alive(models, self.table.rows.take(rows))

    def unknown(
        self, models: IntArray, keys: Keys, at: FloatArray, time: FloatArray | None = None
    ) -> BoolArray:
        """Which rows meet none alive of their key, in the table or before them in the block, if
        each that meets none is added. `time` is how far their models' time has come."""
        rows, alive = self.find(models, keys)
        repeated = has_repeated(keys)
        if not repeated and not alive.any():
            return ~alive
        newest = self._newest
        if time is not None:
            newest = newest.copy()
            np.maximum.at(newest, models, time)
        oldest, room = newest[models] - self.horizon[models], self.room[models]
        found = self.table.rows.take(rows)
        lasts = (self._age(models, found) + len(keys) <= room) & (found["at"] >= oldest)
        changing = (alive & ~lasts).any()
        if changing or (repeated and (len(keys) > room.min() or (at < oldest).any())):
            return self._one_by_one(models, keys, rows, at, time)
        return ~alive & firsts(keys) if repeated else ~alive

    def add(
        self,
        models: IntArray,
        keys: Keys,
        at: FloatArray,
        label: Keys,
        score: FloatArray | float,
        value: FloatArray,
        owner: Numbers,
    ) -> Rows:
        """Adds rows, for which `table` has room; gives the dead ones whose key they took."""
        seq = self._placing.numbered(self._seq, models)
        lost = self.table.append(keys, at, label, score, value, owner, seq)
        return self.table.rows.take(lost)

    def reach(self, models: IntArray, time: FloatArray) -> None:
        """Time has come so far."""
        np.maximum.at(self._newest, models, time)

    def sweep(self, n: int) -> Rows:
        """Makes room for `n` rows by letting go of dead ones; gives them."""
        rows = self.table.used()
        used = rows["key"] != 0
        alive = used & self._alive(self.models(rows), rows)
        gone = rows.take(np.flatnonzero(used & ~alive))
        self.table.retain(alive, n)
        return gone

    def drop_over(self, limit: Keys) -> Rows:
        """Drops rows whose key is above the limit of their model; gives them."""
        rows = self.table.used()
        over = np.flatnonzero(rows["key"] > limit[self.models(rows)])
        gone = rows.take(over)
        self.table.drop(over + FIRST)
        return gone

    def forget(self, models: IntArray) -> None:
        """Drops models."""
        gone = np.zeros(len(self.room), dtype=np.bool_)
        gone[models] = True
        self.table.drop(np.flatnonzero(gone[self.models(self.table.used())]) + FIRST)
        self._newest[models], self._seq[models] = -np.inf, 0

    def living(self, model: int, rows: Rows) -> Rows:
        """Those of a model's rows that are alive."""
        models = np.full(len(rows), model)
        return rows.take(np.flatnonzero((rows["key"] != 0) & self._alive(models, rows)))

    def _age(self, models: npt.NDArray[np.integer[Any]], found: Rows) -> npt.NDArray[np.uint32]:
        """How many arrivals of its model ago each row came, itself counted."""
        age: npt.NDArray[np.uint32] = self._seq[models] - found["seq"]
        return age

    def _alive(self, models: npt.NDArray[np.integer[Any]], found: Rows) -> BoolArray:
        recent: BoolArray = self._age(models, found) <= self.room[models]
        recent &= found["at"] >= self._newest[models] - self.horizon[models]
        return recent

    def _one_by_one(
        self,
        models: IntArray,
        keys: Keys,
        rows: Numbers,
        at: FloatArray,
        time: FloatArray | None,
    ) -> BoolArray:
        """The same where what is alive changes within the block."""
        found = self.table.rows.take(rows)
        old = zip(keys.tolist(), found["seq"].tolist(), found["at"].tolist(), strict=True)
        placed = {key: (seq, when) for (key, seq, when), row in zip(old, rows, strict=True) if row}
        arrived, newest = self._seq.tolist(), self._newest.tolist()
        clock = np.full(len(keys), -np.inf) if time is None else time
        new = np.zeros(len(keys), dtype=np.bool_)
        columns = zip(*(each.tolist() for each in (models, keys, at, clock)), strict=True)
        for i, (model, key, when, now) in enumerate(columns):
            newest[model] = max(newest[model], now)
            if key in placed:
                seq, since = placed[key]
                recent = (arrived[model] - seq) & _WRAP <= self.room[model]
                if recent and since >= newest[model] - self.horizon[model]:
                    continue
            placed[key] = arrived[model], when
            arrived[model] = (arrived[model] + 1) & _WRAP
            new[i] = True
        return new


def straight(owner: Numbers) -> Numbers:
    """The owners without their marks."""
    return np.where(owner < 0, ~owner, owner)


def has_repeated(keys: Keys) -> bool:
    """Whether some key is there twice."""
    ordered = np.sort(keys)
    return bool((ordered[1:] == ordered[:-1]).any())


def firsts(keys: Keys) -> BoolArray:
    """Which rows are the first of their key."""
    first = np.zeros(len(keys), dtype=np.bool_)
    first[np.unique(keys, return_index=True)[1]] = True
    return first
