"""Joins predictions of many models with the labels that come later, whichever comes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from watchkeeper.daemon.core.fairness import MOST_BYTES, parts
from watchkeeper.daemon.core.held import Held
from watchkeeper.daemon.core.joined import (
    NOTHING,
    Joined,
    Predicted,
    Truths,
    behind,
    joined,
    marked,
)
from watchkeeper.daemon.core.keyed import Numbers
from watchkeeper.daemon.core.sampling import Sampling
from watchkeeper.daemon.core.side import Rows, Side, firsts, has_repeated
from watchkeeper.daemon.core.unmatched import Unmatched
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

_NONE: IntArray = np.zeros(0, dtype=np.int64)


class Joins:
    """The predictions still waiting for a label and the labels still waiting for a prediction.

    Models and members are numbers that the caller gives out; a key is that of a request combined
    with that of its model, never 0. Both sides keep the last `capacity` arrivals of each model; a
    label that waits ends as an orphan when its model's time is `horizon_s` further. The first
    label of a request wins; a second is a conflict. A second prediction with the same request is
    a duplicate. Labels of requests that are not kept (see `Sampling`) are counted apart. What
    comes out for a model hangs on its own events and their order alone, unless all models need
    more than `most_bytes`: those with the most rows keep fewer then, as many each.

    >>> joins, no, at = Joins(10, 60.0), np.zeros(1, dtype=np.int64), np.zeros(1)
    >>> key = np.array([7], dtype=np.uint64)
    >>> joins.predictions(no, no.astype(np.int32), key, at, key, at, at).n
    0
    >>> joins.labels(no, key, at, key, at).n
    1
    """

    def __init__(self, capacity: int, horizon_s: float, most_bytes: int = MOST_BYTES) -> None:
        self.capacity = self._least = capacity
        self.horizon_s = horizon_s
        self.sampling = Sampling()
        predicted, waiting = parts(most_bytes)
        # Marked: the truth is known, `label` is what it was, `value` when; see `marked`.
        self._predicted = Side(predicted)
        self._waiting = Side(waiting)  # marked: the prediction may have come and gone
        self.unmatched = Unmatched()
        self.held = Held(self._predicted, self.sampling, self._meet)

    @property
    def nbytes(self) -> int:
        """Bytes held by the rows and their indexes."""
        return self._predicted.table.nbytes + self._waiting.table.nbytes + self.held.nbytes

    @property
    def short(self) -> int:
        """How many models, at least, want more room than they have, since all have too much."""
        return max(self._predicted.short, self._waiting.short)

    def bound(self, model: int, capacity: int, horizon_s: float) -> None:
        """Gives one model bounds of its own, before its first event."""
        self._meet(model + 1)
        self._least = min(self._least, capacity)
        self._predicted.bound(model, capacity, np.inf)
        self._waiting.bound(model, capacity, horizon_s)
        self.sampling.bound(model, capacity)

    def room(self, model: int) -> int:
        """How many predictions of a model are kept at present. From any thread."""
        return int(self._predicted.room[model])

    def reach(self, model: int) -> int:
        """How many events back a model's rows may be, if all are kept. From any thread."""
        return max(self.room(model), int(self._waiting.room[model]))

    def fresh(self, models: IntArray, keys: Keys) -> BoolArray:
        """Which predictions are no duplicates of one that is known, or earlier in the block.

        Those that are not kept are always taken for fresh.
        """
        if not len(keys):
            return np.ones(0, dtype=np.bool_)
        self._meet(int(models.max()) + 1)
        kept = self.sampling.kept(models, keys)
        if kept is None:
            return self._predicted.unknown(models, keys, np.zeros(len(keys)))
        fresh = np.ones(len(keys), dtype=np.bool_)
        models, keys = models[kept], keys[kept]
        fresh[kept] = self._predicted.unknown(models, keys, np.zeros(len(keys)))
        return fresh

    def predictions(
        self,
        model: IntArray,
        member: Numbers,
        key: Keys,
        at: FloatArray,
        label: Keys,
        score: FloatArray,
        value: FloatArray,
        closed: FloatArray | None = None,
        *,
        again: bool = False,
    ) -> Joined:
        """Takes in fresh predictions; gives those whose label was already waiting.

        A label from before `closed`, the end of the closed windows as each row came, is joined
        but not given: its window was judged without it. `again`: the rows come from the store, and
        the sampling heard of them before.
        """
        if not len(key):
            return NOTHING
        self._meet(int(model.max()) + 1)
        self._predicted.own(member, model)
        ends = np.full(len(key), -np.inf) if closed is None else closed
        made = Predicted(model, member, key, at, label, score, value, ends)
        kept = self.sampling.kept(model, key)
        made = made if kept is None else made.take(kept)
        self._make_room(self._predicted, made.model)  # first: that may shorten tables
        return self._predict(made, again)

    def labels(
        self,
        model: IntArray,
        key: Keys,
        at: FloatArray,
        label: Keys,
        value: FloatArray,
        time: FloatArray | None = None,
        source: FloatArray | None = None,
        *,
        again: bool = False,
    ) -> Joined:
        """Takes in labels; gives the predictions they belong to.

        `time` is how far the model's time had come with each row, by which waiting labels grow
        old; by default `at`. `source` is as in `Joined`. `again`: as for predictions.
        """
        if not len(key):
            return NOTHING
        self._meet(int(model.max()) + 1)
        truths = Truths(model, key, at, label, value, at if time is None else time, source)
        kept = self.sampling.kept(model, key)
        if kept is not None:
            if not again:
                self.unmatched.leave_out(model[~kept])
            truths = truths.take(kept)
        return self._label(truths, again)

    def settle(self, models: Iterable[int]) -> bool:
        """Decides which share of the requests of these models is kept from now on, to be called
        when a window of theirs has closed; True when that changed."""
        changes = self.sampling.settle(models)
        if not changes:
            return False
        self.sweep()
        for model, halvings in changes:
            self.sampling.change(model, halvings)
        self._predicted.drop_over(self.sampling.limit)
        gone = self._waiting.drop_over(self.sampling.limit)
        self.unmatched.leave_out(self._waiting.models(gone))
        return True

    def sweep(self) -> None:
        """Lets go of what no event can reach any more, and counts the orphans."""
        self._let_go(self._predicted, _NONE)
        self._let_go(self._waiting, _NONE)
        self.held.forget()

    def share(self, model: int) -> float:
        """The share of the model's requests that is kept. From any thread."""
        return self.sampling.share(model)

    def forget(self, models: Iterable[int]) -> None:
        """Drops models that are somebody else's now; their numbers may be given out anew. `sweep`
        frees what they took."""
        known = [each for each in models if each < len(self._waiting.room)]
        gone = np.array(known, dtype=np.int64)
        self._predicted.forget(gone)
        self._waiting.forget(gone)
        self._predicted.bound(gone, self.capacity, np.inf)
        self._waiting.bound(gone, self.capacity, self.horizon_s)
        self.unmatched.forget(gone)
        for model in known:
            self.sampling.forget(model)
            self.sampling.bound(model, self.capacity)
        if self.short:
            self.sweep()

    def state(self, model: int) -> dict[str, Any]:
        """What of a model cannot be rebuilt from its kept rows, as plain data."""
        return self.sampling.state(model)

    def restore(self, model: int, plain: Mapping[str, Any]) -> None:
        """Takes up what `state` gave, before the kept rows are taken in `again`."""
        self._meet(model + 1)
        self.sampling.restore(model, plain)

    def _predict(self, made: Predicted, again: bool) -> Joined:
        if not len(made.key):
            return NOTHING
        if self._overflows(made):
            # The first of two has left before the second comes: only the first meets the label.
            half = len(made.key) // 2
            halves = slice(None, half), slice(half, None)
            return behind(*(self._predict(made.take(rows), again) for rows in halves))
        waiting, met = self._waiting.find(made.model, made.key)
        found, owner, value = NOTHING, made.member, made.value
        label, score = made.label, made.score
        if met.any():
            truth = self._waiting.table.rows.take(waiting)
            found = joined(made, truth, met & (truth["at"] >= made.closed))
            self._waiting.table.drop(waiting[met])
            owner = np.where(met, ~owner, owner)
            value = np.where(met, np.maximum(made.at, truth["at"]), value)
            score = np.where(met, marked(made.score, made.label, truth["label"]), score)
            label = np.where(met, truth["label"], label)
        self._predicted.add(made.model, made.key, made.at, label, score, value, owner)
        if not again:
            self.sampling.predicted(made.model, made.key, met)
        return found

    def _overflows(self, made: Predicted) -> bool:
        """Whether a table of some model may be too short for all of these, some of one request, or
        may have been when it was asked which of them are fresh."""
        return len(made.key) > self._least and has_repeated(made.key)

    def _label(self, truths: Truths, again: bool) -> Joined:
        rows, here = self._predicted.find(truths.model, truths.key)
        table = self._predicted.table.rows
        found = table.take(rows)
        joins = here & (found["owner"] >= 0)
        if has_repeated(truths.key):
            joins &= firsts(truths.key)
        if not again:
            self.unmatched.conflict(truths.model[here & ~joins])
            self.sampling.labelled(truths.model, truths.key)
        place, found, mine = rows[joins], found.take(np.flatnonzero(joins)), truths.take(joins)
        table["owner"][place] = ~found["owner"]
        table["value"][place] = np.maximum(found["at"], mine.at)
        table["score"][place] = marked(found["score"], found["label"], mine.label)
        table["label"][place] = mine.label
        if not here.all():
            self._wait(truths.take(~here), again)
        told = (found["at"], found["label"], found["score"], found["value"])
        owner = found["owner"]
        return Joined(mine.key, owner, mine.at, *told, mine.label, mine.value, mine.source)

    def _wait(self, truths: Truths, again: bool) -> None:
        """Lets labels wait for their predictions, unless there is one that waits."""
        self._make_room(self._waiting, truths.model)
        new = self._waiting.unknown(truths.model, truths.key, truths.at, truths.time)
        self._waiting.reach(truths.model, truths.time)
        if not again:
            self.unmatched.conflict(truths.model[~new])
        model, key, at, label, value, _, source = truths.take(new)
        owner = model.astype(np.int32)
        unsure = np.ones(len(key), dtype=np.bool_) if again else self.sampling.unsure(model, key)
        if unsure is not None:
            owner = np.where(unsure, ~owner, owner)
        score = float("nan") if source is None else source  # a label has no score of its own
        lost = self._waiting.add(model, key, at, label, score, value, owner)
        self._lose(lost)

    def _meet(self, n: int) -> None:
        """There are at least `n` models."""
        known = len(self._waiting.room)
        if n <= known:
            return
        more = max(n - known, known)
        self._predicted.grow(more, self.capacity, np.inf)
        self._waiting.grow(more, self.capacity, self.horizon_s)
        self.unmatched.grow(more)
        self.sampling.grow(more, self.capacity)

    def _make_room(self, side: Side, coming: IntArray) -> None:
        """There is room for rows of these models."""
        if side.table.has_room(len(coming)):
            return
        side.abide()
        self._let_go(side, coming)
        if side is self._predicted and self._waiting.short:
            self._waiting.abide()
            self._let_go(self._waiting, _NONE)  # that may be over, and nothing wait

    def _let_go(self, side: Side, coming: IntArray) -> None:
        gone = side.sweep(coming)
        if side is self._waiting:
            self._lose(gone)
            return
        self.sampling.fit(side.room)
        self._least = int(side.room.min(initial=self._least))

    def _lose(self, labels: Rows) -> None:
        """Labels waited in vain."""
        self.unmatched.lose(self._waiting.models(labels), labels["owner"] >= 0)
