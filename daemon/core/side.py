"""One side of the label join: the predictions that are kept, or the labels that wait."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.core import placing
from watchkeeper.daemon.core.fairness import level
from watchkeeper.daemon.core.keyed import FIRST, Keyed, Numbers
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

Rows = npt.NDArray[np.void]  # of `keyed.ROW`
_CALM = 8  # times that rows came and all could have room, before they get it again
_WRAP = 0xFFFFFFFF  # sequence numbers go on at 0; those of two kept rows are never this far apart


class Side:
    """The last arrivals of each model, as many as there is room for, found by key.

    A row is alive until `room` others of its model came after it, and while it is no more than
    `horizon` older than the newest time its model has reached. That is seen when it is looked at,
    so what one look-up gives hangs on the model's own events alone, as long as no more than `most`
    rows are alive together: from there on the models with the most, which are so many as `short`
    says, have less room than was `asked` for. `cut` are the models whose oldest rows were let go
    of. Rows with the complement of their owner are marked; what that means is the user's.
    """

    def __init__(self, most: int) -> None:
        self.table = Keyed()
        self._placing = placing.quickest()
        self._most, self.short, self._calm = most, 0, 0
        self.asked: IntArray = np.zeros(0, dtype=np.int64)
        self.room: IntArray = np.zeros(0, dtype=np.int64)
        self.cut: BoolArray = np.zeros(0, dtype=np.bool_)
        self.horizon: FloatArray = np.zeros(0)
        self._newest: FloatArray = np.zeros(0)
        self._seq = np.zeros(0, dtype=np.uint32)
        self._model_of: Numbers | None = None

    def grow(self, more: int, room: int, horizon: float) -> None:
        """There are so many more models."""
        self.asked = np.append(self.asked, np.full(more, room, dtype=np.int64))
        self.room = np.append(self.room, np.full(more, room, dtype=np.int64))
        self.cut = np.append(self.cut, np.zeros(more, dtype=np.bool_))
        self.horizon = np.append(self.horizon, np.full(more, horizon))
        self._newest = np.append(self._newest, np.full(more, -np.inf))
        self._seq = np.append(self._seq, np.zeros(more, dtype=np.uint32))

    def bound(self, models: int | IntArray, room: int, horizon: float) -> None:
        """These models have bounds of their own."""
        self.asked[models] = self.room[models] = room
        self.horizon[models] = horizon

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
        found, more = self.table.rows.take(rows), np.array([len(keys)])
        if len(keys) > room.min():
            more = np.bincount(models)[models]  # of each model's own rows
        lasts = (self._age(models, found) + more <= room) & (found["at"] >= oldest)
        changing = (alive & ~lasts).any()
        if changing or (repeated and ((more > room).any() or (at < oldest).any())):
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

    def sweep(self, coming: IntArray) -> Rows:
        """Makes room for rows of these models by letting go of dead ones; gives them."""
        rows = self.table.used()
        models, used = self.models(rows), rows["key"] != 0
        alive = used & self._alive(models, rows)
        if self._fit(models, rows, alive, coming):
            alive &= self._alive(models, rows)
        gone = rows.take(np.flatnonzero(used & ~alive))
        self.cut[self.models(gone)] = True
        self.table.retain(alive, len(coming))
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
        self.cut[models], self._calm = False, _CALM
        self._newest[models], self._seq[models] = -np.inf, 0

    def living(self, model: int, rows: Rows) -> Rows:
        """Those of a model's rows that are alive."""
        models = np.full(len(rows), model)
        return rows.take(np.flatnonzero((rows["key"] != 0) & self._alive(models, rows)))

    def abide(self) -> None:
        """Rows have come since room was shared out last: if all can have room now, that counts."""
        self._calm += 1

    def _fit(self, models: Numbers, rows: Rows, alive: BoolArray, coming: IntArray) -> bool:
        """Shares the room out among the models whose rows are alive and those that come, and gives
        it back once there is enough for long; True where that changed anything."""
        fits = np.count_nonzero(alive) + len(coming) <= self._most
        if fits and np.array_equal(self.room, self.asked):
            self.short = 0
            return False
        each = len(self.room)
        held = np.bincount(models[alive], minlength=each) + np.bincount(coming, minlength=each)
        age = self._age(models, rows)
        missed = (rows["key"] != 0) & (age > self.room[models]) & (age <= self.asked[models])
        missed &= rows["at"] >= self._newest[models] - self.horizon[models]
        more = (held >= self.room) | (np.bincount(models[missed], minlength=each) > 0)
        wanted, before = np.where(more, self.asked, held), self.room
        highest = level(wanted, self._most)
        self._calm = self._calm if highest is None else 0
        if highest is None and self._calm < _CALM:  # rows meet and go: few of them say little
            return False
        self.room = np.minimum(self.asked, self.asked if highest is None else max(highest, 1))
        self.short = 0 if highest is None else int(np.count_nonzero(wanted > highest))
        return not np.array_equal(self.room, before)

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
