"""Events of known writers to blocks, in NumPy: no JSON is read, and no object made a row."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from watchkeeper.daemon.transport.codec.bulk import MOST_TOPICS, Bulk, Taken
from watchkeeper.daemon.transport.codec.coder import Coder
from watchkeeper.daemon.transport.codec.lanes import words_in
from watchkeeper.daemon.transport.codec.outlined import Outlined
from watchkeeper.daemon.transport.codec.shapes import NULL as NOTHING
from watchkeeper.daemon.transport.codec.shapes import NUMBER, WORD, BulkKind
from watchkeeper.daemon.transport.codec.slots import Places, Slots
from watchkeeper.daemon.transport.codec.stencil import (
    COMMA,
    FEATURES,
    Plan,
    Stencil,
    stencil_of,
    typed,
)
from watchkeeper.daemon.transport.records import Records
from watchkeeper.daemon.transport.spans import Span
from watchkeeper.detectors.types import FloatArray, IntArray

MOST_STENCILS = 16  # of a topic
_CHUNK_BYTES = 1 << 20  # about: what is worked on then stays in a cache
_FEWEST = 64  # rows that are worth it
_LOOKS = 4  # rows of a batch that are looked at for new stencils
_LONGEST_PAUSE = 64  # batches of a topic that are not tried after ones that were no use


@dataclass(slots=True)
class _Topic:
    """What is known of a topic. `kinds` are the features' types; `used` is the batch that each
    stencil was last of use in; `groups` are the features of events that share a block, and
    `group` says which of them each stencil's are."""

    plans: list[Plan] = field(default_factory=list)
    used: list[int] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    groups: list[frozenset[str]] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    coders: defaultdict[tuple[str, str], Coder] = field(default_factory=lambda: defaultdict(Coder))
    batch: int = 0
    pause: int = 0
    wait: int = 0

    def learn(self, stencil: Stencil) -> None:
        """Takes up the stencil of a row that was left."""
        before = dict(self.kinds)
        for slot in stencil.slots:
            if slot.scope == FEATURES:
                self.kinds[slot.name] = self.kinds.get(slot.name, NOTHING) or slot.kind
        known = any(plan.stencil.literals == stencil.literals for plan in self.plans)
        if known and self.kinds == before:
            return
        stencils = [plan.stencil for plan in self.plans]
        if not known:
            if len(stencils) == MOST_STENCILS:
                place = min(range(MOST_STENCILS), key=self.used.__getitem__)
                del stencils[place], self.used[place]
            stencils.append(stencil)
            self.used.append(self.batch - 1)  # one that is in use goes before it
        self._put([typed(each, self.kinds) for each in stencils])

    def _put(self, stencils: list[Stencil]) -> None:
        self.plans = [Plan(each) for each in stencils]
        self.kinds = {
            s.name: s.kind for each in stencils for s in each.slots if s.scope == FEATURES
        }
        self.group, self.groups = [], []
        for each in stencils:
            mine = frozenset(slot.name for slot in each.slots if slot.scope == FEATURES)
            place = next((i for i, g in enumerate(self.groups) if _akin(g, mine)), None)
            if place is None:
                place = len(self.groups)
                self.groups.append(mine)
            self.groups[place] |= mine
            self.group.append(place)

    def columns(self, group: int, kind: int) -> tuple[str, ...]:
        """The features of a group that are of a type."""
        return tuple(sorted(name for name in self.groups[group] if self.kinds[name] == kind))


def _akin(some: frozenset[str], others: frozenset[str]) -> bool:
    """Whether they have at least half of either in common."""
    return 2 * len(some & others) >= max(len(some), len(others))


class Stencilled:
    """The fast way where numba is not: stencils of the events that were seen. What has none of
    them is for `next_`; where that is most, stencils are not tried for some time."""

    def __init__(self, next_: Bulk) -> None:
        self._next = next_
        self._topics: dict[tuple[str, BulkKind], _Topic] = {}

    def __call__(
        self, kind: BulkKind, records: Records, seq: IntArray, latest: FloatArray
    ) -> Taken:
        """See `Bulk`."""
        topic = self._topic(kind, records)
        if len(records) < _FEWEST or topic.wait:
            topic.wait = max(topic.wait - 1, 0)
            return self._next(kind, records, seq, latest)
        blocks, left = _Reading(topic, kind, records.span(), seq, latest).read()
        self._judge(topic, kind, records, left)
        if not len(left):
            return Taken(blocks, left)
        if len(left) == len(records):
            return self._next(kind, records, seq, latest)
        rest = self._next(kind, records.take(left), seq[left], latest[left])
        return Taken(blocks + rest.blocks, left[rest.left], rest.unknown)

    def _topic(self, kind: BulkKind, records: Records) -> _Topic:
        name = (records.places[records.place[0]].topic, kind)
        topic = self._topics.get(name)
        if topic is None:
            if len(self._topics) >= MOST_TOPICS:
                self._topics.clear()
            topic = self._topics[name] = _Topic()
            _learn(topic, kind, records, np.arange(len(records)))
        return topic

    def _judge(self, topic: _Topic, kind: BulkKind, records: Records, left: IntArray) -> None:
        """Learns of what was left, and gives the stencils a rest where they were of no use."""
        if 2 * len(left) <= len(records):
            topic.pause = 0
        else:
            topic.pause = min(max(2 * topic.pause, 1), _LONGEST_PAUSE)
            topic.wait = topic.pause - 1
        _learn(topic, kind, records, left)


def _learn(topic: _Topic, kind: BulkKind, records: Records, rows: IntArray) -> None:
    for row in rows[:_LOOKS].tolist():
        stencil = stencil_of(kind, records.value(row) or b"")
        if stencil is not None:
            topic.learn(stencil)


class _Reading:
    """One batch of one topic."""

    def __init__(
        self, topic: _Topic, kind: BulkKind, span: Span, seq: IntArray, latest: FloatArray
    ) -> None:
        self.topic, self.kind, self.span = topic, kind, span
        self.seq, self.latest = seq, latest
        self.outs: dict[int, Outlined] = {}
        self.late: list[IntArray] = []
        topic.batch += 1
        for coder in topic.coders.values():
            coder.begin()

    def read(self) -> tuple[list[Any], IntArray]:
        """The blocks of what could be read, and the places of the others."""
        left = np.ones(len(self.seq), dtype=np.bool_)
        if self.topic.plans:
            rows = np.arange(len(self.seq))
            if (self.span.start[1:] < self.span.start[:-1]).any():
                rows = np.argsort(self.span.start)
            size = int((self.span.end - self.span.start).sum())
            parts = min(round(size / _CHUNK_BYTES), len(rows) // _FEWEST)
            for some in np.array_split(rows, max(parts, 1)):
                self._chunk(some, _FEWEST)
            if self.late:
                self._chunk(np.unique(np.concatenate(self.late)), 1)
        blocks = []
        for out in self.outs.values():
            if out.taken.any():
                made, taken = out.blocks(self.kind, self.span.buffer, self.seq, self.topic.coders)
                blocks += made
                left[taken] = False
        return blocks, np.flatnonzero(left)

    def _chunk(self, rows: IntArray, fewest: int) -> None:
        """Reads rows that stand near each other. Those of a stencil that fewer have come later,
        all at once: nearly all of the cost of a few rows is there once a call."""
        span, shift = self.span.take(rows), None
        if fewest == 1:
            near = Span.of(span.values())
            span, shift = near, span.start - near.start
        words, first = words_in(span.buffer, int(span.start[0]), int(span.end.max()))
        start, end = span.start - first, span.end - first
        commas = np.flatnonzero(words.view(np.uint8) == COMMA)
        before, behind = commas.searchsorted(start), commas.searchsorted(end)
        counts = behind - before
        for number, plan in enumerate(self.topic.plans):
            mine = np.flatnonzero(counts == plan.commas)
            if len(mine) < fewest:
                if len(mine):
                    self.late.append(rows[mine])
                continue
            some = slice(None) if len(mine) == len(rows) else mine
            edges = np.empty((plan.commas + 2, len(mine)), dtype=np.int64)
            edges[0], edges[-1] = start[some], end[some]
            every = np.arange(plan.commas)[:, None] + before[some]
            commas.take(every, out=edges[1:-1], mode="clip")
            fits = plan.fits(words, edges)
            begin, stop = plan.places(edges)
            fits &= (stop - begin).min(axis=0) > 0
            if not fits.any():
                continue
            chosen = rows[some]
            if not fits.all():
                begin, stop, chosen = begin[:, fits], stop[:, fits], chosen[fits]
            counts[mine[fits]] = -1
            self.topic.used[number] = self.topic.batch
            by = first if shift is None else shift[some][fits]
            out = self._out(self.topic.group[number])
            places = Places(words, by, begin, stop, chosen)
            Slots(plan.stencil, places, out, self.topic.coders, self.latest).read()

    def _out(self, group: int) -> Outlined:
        out = self.outs.get(group)
        if out is None:
            columns = self.topic.columns
            numeric, categorical = columns(group, NUMBER), columns(group, WORD)
            out = self.outs[group] = Outlined(self.kind, len(self.seq), numeric, categorical)
        return out
