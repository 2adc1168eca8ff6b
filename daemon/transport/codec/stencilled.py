"""Events of known writers to blocks, in NumPy: no JSON is read, and no object made a row."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from watchkeeper.daemon.transport.codec.bulk import Bulk, Taken, topic_of
from watchkeeper.daemon.transport.codec.coder import Coder
from watchkeeper.daemon.transport.codec.lanes import Lanes, words_in
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
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

MOST_STENCILS = 16  # of a topic
_CHUNK_BYTES = 1 << 20  # about: what is worked on then stays in a cache
_FEWEST = 64  # rows that are worth it
_LOOKS = 4  # rows of a batch that are looked at for new stencils
_READ = -1  # stands for the number of commas of a row that is read
_LONGEST_PAUSE = 64  # batches of a topic that are not tried after ones that were no use


@dataclass(slots=True)
class _Topic:
    """What is known of a topic. `kinds` are the features' types; `used` is the batch that each
    stencil was last of use in; `groups` are the features of events that share a block, and
    `group` says which of them each stencil's are. Stencils of one of the `families` differ only in
    what is between their values."""

    plans: list[Plan] = field(default_factory=list)
    used: list[int] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    groups: list[frozenset[str]] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    families: list[list[int]] = field(default_factory=list)
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
        families: dict[object, list[int]] = {}
        for number, each in enumerate(stencils):
            families.setdefault((self.group[number], each.slots), []).append(number)
        self.families = [*families.values()]

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
        topic = topic_of(self._topics, kind, records, partial(_begun, kind, records))
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

    def _judge(self, topic: _Topic, kind: BulkKind, records: Records, left: IntArray) -> None:
        """Learns of what was left, and gives the stencils a rest where they were of no use."""
        if 2 * len(left) <= len(records):
            topic.pause = 0
        else:
            topic.pause = min(max(2 * topic.pause, 1), _LONGEST_PAUSE)
            topic.wait = topic.pause - 1
        _learn(topic, kind, records, left)


def _begun(kind: BulkKind, records: Records) -> _Topic:
    topic = _Topic()
    _learn(topic, kind, records, np.arange(len(records)))
    return topic


def _learn(topic: _Topic, kind: BulkKind, records: Records, rows: IntArray) -> None:
    for row in rows[:_LOOKS].tolist():
        stencil = stencil_of(kind, records.value(row) or b"")
        if stencil is not None:
            topic.learn(stencil)


class _Text(NamedTuple):
    """Rows in `words`: where they begin and end, all commas there, how many of these are before
    each row, and how many in it."""

    words: Lanes
    start: IntArray
    end: IntArray
    commas: IntArray
    before: IntArray
    counts: IntArray

    def of(self, plans: list[Plan]) -> BoolArray:
        """Which rows have as many commas as one of these."""
        right = np.zeros(len(self.counts), dtype=np.bool_)
        for commas in {plan.commas for plan in plans}:
            right |= self.counts == commas
        return right

    def edges(self, rows: IntArray | slice, commas: int) -> IntArray:
        """The edges of rows that have so many commas, see `Plan`; any of others."""
        start = self.start[rows]
        edges = np.empty((commas + 2, len(start)), dtype=np.int64)
        edges[0], edges[-1] = start, self.end[rows]
        if commas:
            every = np.arange(commas)[:, None] + self.before[rows]
            self.commas.take(every, out=edges[1:-1], mode="clip")
        return edges


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
        text = _Text(words, start, end, commas, before, behind - before)
        for family in self.topic.families:
            mine = np.flatnonzero(text.of([self.topic.plans[number] for number in family]))
            if len(mine) < fewest:
                if len(mine):
                    self.late.append(rows[mine])
                continue
            some = slice(None) if len(mine) == len(rows) else mine
            places = self._places(family, text, some)
            if places is None:
                continue
            begin, stop, status, fits = places
            chosen = rows[some]
            if not fits.all():
                begin, stop, chosen = begin[:, fits], stop[:, fits], chosen[fits]
                status = status[fits]
            text.counts[mine[fits]] = _READ
            by = first if shift is None else shift[some][fits]
            out = self._out(self.topic.group[family[0]])
            found = Places(words, by, begin, stop, chosen, status)
            slots = self.topic.plans[family[0]].stencil.slots
            Slots(slots, found, out, self.topic.coders, self.latest).read()

    def _places(
        self, family: list[int], text: _Text, some: IntArray | slice
    ) -> tuple[IntArray, IntArray, IntArray, BoolArray] | None:
        """Where the values of some rows begin and end, a row a slot, the rows' status, and which of
        them are of one of the stencils; None: none is. All are taken for rows of the one that most
        are of; the few others are put right then."""
        counts = text.counts[some]
        plans = sorted(
            ((int(np.count_nonzero(counts == self.topic.plans[i].commas)), i) for i in family),
            key=lambda each: -each[0],
        )
        main = self.topic.plans[plans[0][1]]
        edges = text.edges(some, main.commas)
        begin, stop = main.places(edges)
        fits = main.fits(text.words, edges) & (counts == main.commas)
        if fits.any():
            self.topic.used[plans[0][1]] = self.topic.batch
        status = np.full(len(counts), main.stencil.status, dtype=np.int64)
        for n, number in plans[1:]:
            plan = self.topic.plans[number]
            rows = np.flatnonzero((counts == plan.commas) & ~fits) if n else counts[:0]
            if not len(rows):
                continue
            edges = text.edges(rows if isinstance(some, slice) else some[rows], plan.commas)
            right = plan.fits(text.words, edges)
            if right.any():
                found, rows = plan.places(edges), rows[right]
                begin[:, rows], stop[:, rows] = found[0][:, right], found[1][:, right]
                status[rows], fits[rows] = plan.stencil.status, True
                self.topic.used[number] = self.topic.batch
        fits &= (stop - begin).min(axis=0) > 0
        return (begin, stop, status, fits) if fits.any() else None

    def _out(self, group: int) -> Outlined:
        out = self.outs.get(group)
        if out is None:
            columns = self.topic.columns
            numeric, categorical = columns(group, NUMBER), columns(group, WORD)
            out = self.outs[group] = Outlined(self.kind, len(self.seq), numeric, categorical)
        return out
