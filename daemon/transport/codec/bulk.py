"""Bare JSON events to blocks, many at once: the fast way, which takes only what is plain.

No Python runs per event and feature: columns are made by `map`, `chain` and slices, which loop in
C. A row that is odd in any way is left to the general way (`json`, `columns`), whose answers and
reasons are the ones that count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from watchkeeper.daemon.transport.codec.fill import label_block, prediction_block
from watchkeeper.daemon.transport.codec.filled import Filled
from watchkeeper.daemon.transport.codec.json import DecodeErrors, is_utf8, unknown_fields
from watchkeeper.daemon.transport.codec.shapes import BulkKind, Reader, Shape, look, reader_of
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors import fast
from watchkeeper.detectors.blocks import Block
from watchkeeper.detectors.types import FloatArray, IntArray

T = TypeVar("T")

# One record in so many is looked at for fields nobody knows.
SAMPLED = 64
MOST_SHAPES = 64  # of a topic
MOST_TOPICS = 256
MOST_MODELS = 65_536  # whose shape is remembered
_CHUNK = 1_000  # rows that are decoded before their columns are made: they fit a cache
_LOOKS = 32  # rows of a batch that are looked at for new shapes
_MODEL = re.compile(rb'"model_name"\s*:\s*"([^"\\]*)"')


class Taken(NamedTuple):
    """What the fast way took, and the places of the records it left, in order.

    `unknown` counts top-level fields that no type knows, in the records that were looked at.
    """

    blocks: list[Block]
    left: IntArray
    unknown: int = 0


class Bulk(Protocol):
    """The fast way. `records` are of one topic, which holds only events of `kind`; each has a
    value, of at most the bytes that are allowed, and headers that say nothing else. `seq` is each
    record's place in the batch and `latest` the time that its event may have at most.

    A row is taken only where it is sure that the general way gives the very same columns; every
    other, and so every bad one, is left. Rows of a block are in order of `seq`.
    """

    def __call__(
        self, kind: BulkKind, records: Records, seq: IntArray, latest: FloatArray
    ) -> Taken:
        """The blocks of the rows that were taken, and the places within `records` of all others."""


def topic_of(
    topics: dict[tuple[str, BulkKind], T], kind: BulkKind, records: Records, begun: Callable[[], T]
) -> T:
    """What is known of the topic of these records, begun where that is nothing yet. Where too many
    are known, all are begun anew."""
    name = (records.places[records.place[0]].topic, kind)
    topic = topics.get(name)
    if topic is None:
        if len(topics) >= MOST_TOPICS:
            topics.clear()
        topic = topics[name] = begun()
    return topic


@dataclass(slots=True)
class _Topic:
    """The shapes that are known of a topic, and which of them is each model's."""

    shapes: list[Shape] = field(default_factory=list)
    used: list[int] = field(default_factory=list)  # the batch that each shape was last found in
    batch: int = 0
    newest: int = 0
    of_model: dict[bytes, int] = field(default_factory=dict)

    def learn(self, seen: Shape, model: bytes) -> None:
        """Takes up the shape of an event that no decoder took."""
        mine = self.of_model.get(model)
        if len(self.of_model) >= MOST_MODELS:
            self.of_model.clear()
        for i, shape in enumerate(self.shapes):
            if shape.covers(seen):
                self.of_model[model] = i
                return
        place = mine if mine is not None else self._akin(seen)
        joined = self.shapes[place].joined(seen) if place is not None else None
        if place is not None and joined is not None:
            self.shapes[place] = joined
        else:
            place = self._put(seen)
        self.of_model[model] = self.newest = place

    def _akin(self, seen: Shape) -> int | None:
        return next((i for i, shape in enumerate(self.shapes) if shape.akin(seen)), None)

    def _put(self, seen: Shape) -> int:
        """Takes the place of the shape that was not found for longest; one of this batch stays
        before one that is only learned now, so that a flood of shapes drives out none in use."""
        place = len(self.shapes)
        if place == MOST_SHAPES:
            place = min(range(MOST_SHAPES), key=self.used.__getitem__)
            self.shapes[place], self.used[place] = seen, self.batch - 1
        else:
            self.shapes.append(seen)
            self.used.append(self.batch - 1)
        return place

    def sorted_out(self, records: Records) -> Iterator[tuple[int, Sequence[int] | None]]:
        """The records by the shape they are likely to have; None stands for all of them."""
        self.batch += 1
        if len(self.shapes) < 2:
            yield from [(0, None)] * len(self.shapes)
            return
        known = self.of_model.get
        if records.keys is not None:
            guesses = [known(key) if key is not None else None for key in records.keys]
        else:
            guesses = [None] * len(records)
        if None in guesses:
            values = records.values()
            for i, guess in enumerate(guesses):
                if guess is None:
                    guesses[i] = known(_model_in(values[i] or b""), self.newest)
        groups: dict[int, list[int]] = {}
        for i, guess in enumerate(guesses):
            groups.setdefault(guess, []).append(i)  # type: ignore[arg-type]
        for guess, places in groups.items():
            yield guess, places


def _model_in(value: bytes) -> bytes:
    """The model's name as it stands in a value, most likely."""
    found = _MODEL.search(value)
    return found[1] if found else b""


class Learned:
    """The fast way in Python: a decoder for every shape of event that a topic was seen to hold.

    What it has learned is only ever a guess: a wrong one costs time.
    """

    def __init__(self) -> None:
        self._topics: dict[tuple[str, BulkKind], _Topic] = {}

    def __call__(
        self, kind: BulkKind, records: Records, seq: IntArray, latest: FloatArray
    ) -> Taken:
        """See `Bulk`."""
        topic = topic_of(self._topics, kind, records, partial(self._begun, kind, records))
        values = records.values()
        blocks: list[Block] = []
        left: list[int] = []
        for number, places in topic.sorted_out(records):
            chosen = values if places is None else [values[i] for i in places]
            rows = slice(None) if places is None else np.array(places, dtype=np.int64)
            read = _read(reader_of(topic.shapes[number]), chosen, seq[rows], latest[rows])
            if read.blocks:
                blocks += read.blocks
                topic.used[number] = topic.batch
            left += read.left.tolist() if places is None else [places[i] for i in read.left]
        left.sort()
        if not topic.shapes:
            left = list(range(len(records)))
        unknown = 0
        if any(shape.open for shape in topic.shapes):
            unknown = sum(unknown_fields(kind, value or b"") for value in values[::SAMPLED])
        self._learn(topic, kind, values, left)
        return Taken(blocks, np.array(left, dtype=np.int64), unknown)

    def _begun(self, kind: BulkKind, records: Records) -> _Topic:
        topic = _Topic()
        self._learn(topic, kind, records.values(), range(len(records)))
        return topic

    def _learn(
        self, topic: _Topic, kind: BulkKind, values: Sequence[bytes | None], left: Sequence[int]
    ) -> None:
        for i in left[:_LOOKS]:
            seen = look(kind, values[i] or b"")
            if seen is not None:
                topic.learn(seen, _model_in(values[i] or b""))


class _Best:
    """The fastest way there is here, chosen when it is first called."""

    def __init__(self) -> None:
        self._chosen: Bulk | None = None

    def __call__(
        self, kind: BulkKind, records: Records, seq: IntArray, latest: FloatArray
    ) -> Taken:
        """See `Bulk`."""
        if self._chosen is None:
            self._chosen = _fastest()
        return self._chosen(kind, records, seq, latest)

    def choose_again(self) -> None:
        """There may be a faster one by now."""
        self._chosen = None


def _fastest() -> Bulk:
    # Both need this file.
    if fast.available():
        from watchkeeper.daemon.transport.codec.fast_json import Compiled

        return Compiled(Learned())
    from watchkeeper.daemon.transport.codec.stencilled import Stencilled

    return Stencilled(Learned())


BULK = _Best()


def _read(
    reader: Reader, values: Sequence[bytes | None], seq: IntArray, latest: FloatArray
) -> Taken:
    """The rows of one shape."""
    filled = Filled(reader, len(values))
    left: list[int] = []
    for begin in range(0, len(values), _CHUNK):
        chunk = values[begin : begin + _CHUNK]
        rows, wrong = _rows(reader.decode, chunk)
        filled.add(rows)
        left += [begin + i for i in wrong]
    kept: Any = slice(None)
    if left:
        kept = np.ones(len(values), dtype=np.bool_)
        kept[left] = False
    if len(left) == len(values):
        return Taken([], np.arange(len(values)))
    build = prediction_block if reader.shape.kind == "prediction" else label_block
    places = np.arange(len(values))[kept]
    blocks, bad = build(filled, seq[kept], latest[kept])
    if bad is not None:
        left = sorted([*left, *places[bad].tolist()])
    return Taken(blocks, np.array(left, dtype=np.int64))


def _rows(
    decode: Callable[[bytes], Any], values: Sequence[bytes | None]
) -> tuple[list[Any], list[int]]:
    """The decoded values, and the places of those that were refused."""
    rows: list[Any] = []
    wrong: list[int] = []
    decoded = map(decode, values)  # type: ignore[arg-type]
    while True:
        try:
            rows.extend(decoded)
            break
        except DecodeErrors:
            wrong.append(len(rows) + len(wrong))
    odd = _odd(values)
    if not odd:
        return rows, wrong
    places = [i for i in range(len(values)) if i not in set(wrong)]
    kept = [(i, row) for i, row in zip(places, rows, strict=True) if i not in odd]
    return [row for _, row in kept], sorted({*wrong, *odd})


def _odd(values: Sequence[bytes | None]) -> set[int]:
    """The places of values that hold NUL or what is no UTF-8: the decoder skips unknown fields."""
    whole = b"\n".join(values)  # type: ignore[arg-type]
    odd: set[int] = set()
    if b"\\" in whole and b"\\u0000" in whole:
        odd.update(i for i, value in enumerate(values) if b"\\u0000" in (value or b""))
    if not whole.isascii() and not is_utf8(whole):
        odd.update(i for i, value in enumerate(values) if not is_utf8(value or b""))
    return odd
