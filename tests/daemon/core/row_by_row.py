"""Joins of one model, row by row: what `Joins` must give for all models at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from watchkeeper.daemon.core.joined import Joined
from watchkeeper.daemon.core.joins import Joins
from watchkeeper.detectors.keys import combined, keys_of

Pair = tuple[float, ...]


class Event(NamedTuple):
    """A prediction or a label; `at` of a prediction tells its windows' end too."""

    model: int
    label: bool
    request: int
    at: float


@dataclass
class Plain:
    """One model's join, one row at a time, in plain words."""

    capacity: int
    horizon: float
    made: int = 0
    waited: int = 0
    newest: float = float("-inf")
    conflicts: int = 0
    orphans: int = 0
    predicted: dict[int, tuple[int, float]] = field(default_factory=dict)
    known: dict[int, float] = field(default_factory=dict)
    waiting: dict[int, tuple[int, float]] = field(default_factory=dict)

    def take(self, event: Event) -> Pair | None:
        return self.truth(event) if event.label else self.prediction(event)

    def prediction(self, event: Event) -> Pair | None:
        request = event.request
        if self.here(request):
            return None
        self.predicted[request] = self.made, event.at
        self.known.pop(request, None)
        self.made += 1
        if request not in self.waiting or not self.waits(request):
            return None
        _, at = self.waiting.pop(request)
        self.known[request] = max(event.at, at)
        return (at, event.at) if at >= event.at / 2 else None

    def truth(self, event: Event) -> Pair | None:
        request = event.request
        if self.here(request):
            if request in self.known:
                self.conflicts += 1
                return None
            self.known[request] = max(self.predicted[request][1], event.at)
            return event.at, self.predicted[request][1]
        self.newest = max(self.newest, event.at)
        if request in self.waiting:
            if self.waits(request):
                self.conflicts += 1
                return None
            self.orphans += 1
        self.waiting[request] = self.waited, event.at
        self.waited += 1
        return None

    def here(self, request: int) -> bool:
        before = self.predicted.get(request)
        return before is not None and self.made - before[0] <= self.capacity

    def waits(self, request: int) -> bool:
        number, at = self.waiting[request]
        return self.waited - number <= self.capacity and at >= self.newest - self.horizon

    def lost(self) -> int:
        return self.orphans + sum(not self.waits(each) for each in self.waiting)

    def kept(self) -> list[int]:
        return [each for each in self.predicted if self.here(each)]


def key(event: Event) -> int:
    model = keys_of([f"model {event.model}"])
    return int(combined(keys_of([f"request {event.request}"]), model)[0])


def blocks(events: Sequence[Event], cuts: Sequence[int]) -> Iterator[Sequence[Event]]:
    """The events in their order, cut at these places and wherever the kind changes."""
    turns = [i for i in range(1, len(events)) if events[i].label != events[i - 1].label]
    places = sorted({0, len(events), *turns, *(cut for cut in cuts if cut < len(events))})
    for start, stop in pairwise(places):
        yield events[start:stop]


def feed(joins: Joins, events: Sequence[Event]) -> dict[int, list[Pair]]:
    """What the joins give for a block of one kind, by model."""
    keys = np.array([key(e) for e in events], dtype=np.uint64)
    models = np.array([e.model for e in events])
    at = np.array([e.at for e in events])
    if events[0].label:
        return pairs(joins.labels(models, keys, at, keys, at))
    fresh = joins.fresh(models, keys)
    models, keys, at = models[fresh], keys[fresh], at[fresh]
    member = models.astype(np.int32)
    return pairs(joins.predictions(models, member, keys, at, keys, at, at, at / 2))


def pairs(joined: Joined) -> dict[int, list[Pair]]:
    found: dict[int, list[Pair]] = defaultdict(list)
    columns = (joined.member, joined.at, joined.predicted_at, joined.score, joined.predicted_value)
    for member, *pair, score, value in zip(*(each.tolist() for each in columns), strict=True):
        assert score == value == pair[1]
        found[member].append(tuple(pair))
    assert (joined.label == joined.predicted_label).all()
    assert (joined.value == joined.at).all()
    return found


def merge(into: dict[int, list[Pair]], new: dict[int, list[Pair]]) -> None:
    for model, found in new.items():
        into[model] += found
