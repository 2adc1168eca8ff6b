"""Rows of alike stencils: their values, slot by slot, into columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from watchkeeper.daemon.transport.codec.coder import WIDEST, RowCodes
from watchkeeper.daemon.transport.codec.columns import EARLIEST
from watchkeeper.daemon.transport.codec.lanes import (
    AT_ONCE,
    FALSE,
    NULL,
    TRUE,
    Lanes,
    cut,
    hashed,
    load,
    numbers,
    plain,
)
from watchkeeper.daemon.transport.codec.outlined import NUMBERS, Coders, Outlined
from watchkeeper.daemon.transport.codec.shapes import NULL as NOTHING
from watchkeeper.daemon.transport.codec.shapes import NUMBER, WORD
from watchkeeper.daemon.transport.codec.stencil import (
    ANSWER,
    EVENT,
    FEATURES,
    SEGMENT,
    Slot,
)
from watchkeeper.daemon.transport.codec.times import seconds_in_words
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

_UNREAD = frozenset({"id", "source", "error_type", "traceparent"})  # but for what is coded
_MAY_LACK = frozenset({"label", "source"})
_NEVER_NULL = frozenset({"id", "time", "model_name", "model_version", "request_id"})
_NEVER_EMPTY = frozenset({"id", "request_id", "entity_id", "source", "model_name", "model_version"})
_QUOTE = ord('"')


class Places(NamedTuple):
    """Where the values of rows stand in `words`, a row of `begin` and `end` a slot. `shift` brings
    that to the places in the records' buffer; `rows` are the records' numbers, `status` the events'
    status, which is no value."""

    words: Lanes
    shift: Any
    begin: IntArray
    end: IntArray
    rows: IntArray
    status: IntArray


class Slots:
    """Rows with the same values on their way into columns. `latest` is every record's latest
    time."""

    def __init__(
        self,
        slots: tuple[Slot, ...],
        places: Places,
        out: Outlined,
        coders: Coders,
        latest: FloatArray,
    ) -> None:
        self.slots, self.places = slots, places
        self.out, self.coders, self.latest = out, coders, latest
        self.words, self.raw = places.words, places.words.view(np.uint8)
        self.begin, self.end = places.begin, places.end
        rows = places.rows
        self._unread = _UNREAD - out.codes.keys()
        self.good = np.ones(len(rows), dtype=np.bool_)
        in_a_row = rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all()
        self.into: Any = slice(rows[0], rows[-1] + 1) if in_a_row else rows

    def read(self) -> None:
        """Fills the columns."""
        kinds = [slot.kind for slot in self.slots]
        self._defaults()
        self._numbers([i for i, kind in enumerate(kinds) if kind == NUMBER])
        self._texts([i for i, kind in enumerate(kinds) if kind == WORD])
        nothing = [i for i, kind in enumerate(kinds) if kind == NOTHING]
        if nothing:
            self.good &= self._is(NULL, 4, np.array(nothing)).all(axis=0)
        self.out.taken[self.places.rows[self.good]] = True

    def _defaults(self) -> None:
        out, into = self.out, self.into
        slots = self.slots
        features = {slot.name for slot in slots if slot.scope == FEATURES}
        there = {slot.name for slot in slots if slot.scope in (EVENT, ANSWER)}
        out.status[into] = self.places.status
        for name in NUMBERS:
            if name not in there:
                out.numbers[name][into] = np.nan
        for name in out.numeric.keys() - features:
            out.numeric[name][into] = np.nan
        for name in out.categorical.keys() - features:
            out.categorical[name][into] = -1
        for name in _MAY_LACK & out.codes.keys() - there:
            out.codes[name][into] = -1
        if "entity_id" not in there:
            out.entity[:, into] = -1
            out.entity_key[into] = 0

    def _is(self, word: np.uint64, size: int, slots: IntArray) -> BoolArray:
        """Where just this word stands."""
        begin, end = self.begin[slots], self.end[slots]
        found = cut(load(self.words, begin, 1), np.full(begin.shape, size))[0]
        same: BoolArray = (found == word) & (end - begin == size)
        return same

    def _numbers(self, slots: list[int]) -> None:
        if not slots:
            return
        begin = self.begin[slots]
        values, right = numbers(self.words, begin, self.end[slots] - begin, self._text)
        if not right.all():
            self._words_for_numbers(slots, values, right)
        self.good &= right.all(axis=0)
        for i, column in zip(slots, values, strict=True):
            slot = self.slots[i]
            if slot.scope == FEATURES:
                self.out.numeric[slot.name][self.into] = column
            else:
                self.out.numbers[slot.name][self.into] = column
                if slot.name == "duration_s":
                    self.good &= ~(column < 0)

    def _text(self, begin: int, end: int) -> bytes:
        return self.raw[begin:end].tobytes()

    def _words_for_numbers(self, slots: list[int], values: FloatArray, right: BoolArray) -> None:
        """null, and in features true and false."""
        place, row = np.nonzero(~right)
        begin = self.begin[slots][place, row]
        size = self.end[slots][place, row] - begin
        word = cut(load(self.words, begin, 1), np.minimum(size, 8))[0]
        feature = np.array([self.slots[i].scope == FEATURES for i in slots])[place]
        for text, length, value in ((NULL, 4, np.nan), (TRUE, 4, 1.0), (FALSE, 5, 0.0)):
            found = (word == text) & (size == length)
            if value == value:
                found &= feature
            values[place[found], row[found]] = value
            right[place[found], row[found]] = True

    def _texts(self, slots: list[int]) -> None:
        begin, end = self.begin[slots], self.end[slots]
        quoted = (self.raw.take(begin) == _QUOTE) & (self.raw.take(end - 1) == _QUOTE)
        size = end - begin - 2
        quoted &= (size >= 0) & (size <= 8 * WIDEST)
        there = quoted
        if not quoted.all():
            names = [self.slots[i] for i in slots]
            may = np.array([_may_be_null(slot) for slot in names])
            none = self._is(NULL, 4, np.array(slots)) & may[:, None]
            self.good &= (quoted | none).all(axis=0)
            there = quoted
            size = np.where(quoted, size, 0)
        width = np.maximum(-(-size.max(axis=1) // 8), 1)
        for count in np.unique(width).tolist():
            every = np.flatnonzero(width == count)
            many = max(AT_ONCE // len(self.good), 1)
            for i in range(0, len(every), many):
                mine = every[i : i + many]
                self._of_width(slots, mine, count, begin[mine] + 1, size[mine], there[mine])

    def _of_width(
        self,
        slots: list[int],
        mine: IntArray,
        count: int,
        begin: IntArray,
        size: IntArray,
        there: BoolArray,
    ) -> None:
        """Texts of as many words."""
        words = cut(load(self.words, begin, count), size)
        right = plain(words, size)
        if not right.all():
            self.good &= (right | ~there).all(axis=0)
            there = there & right
        for i, place in enumerate(mine.tolist()):
            slot = self.slots[slots[place]]
            own = [word[i] for word in words]
            if slot.scope == EVENT and slot.name in _NEVER_EMPTY:
                self.good &= (size[i] > 0) | ~there[i]
            if slot.scope == SEGMENT or (slot.scope == EVENT and slot.name in self._unread):
                continue
            self._column(slot, own, begin[i], size[i], None if there[i].all() else there[i])

    def _column(
        self,
        slot: Slot,
        words: list[Lanes],
        begin: IntArray,
        size: IntArray,
        there: BoolArray | None,
    ) -> None:
        out, into = self.out, self.into
        if slot.scope == EVENT and slot.name == "time":
            at = seconds_in_words(words, size)
            latest = self.latest[self.into]
            self.good &= (at >= EARLIEST) & (at <= latest)
            out.at[into] = at
        elif slot.scope == EVENT and slot.name in ("request_id", "entity_id"):
            key, spans = hashed(words, size), np.stack((begin, begin + size)) + self.places.shift
            if there is not None:
                key, spans = np.where(there, key, 0), np.where(there, spans, -1)
            if slot.name == "request_id":
                out.key[into], out.request[:, into] = key, spans
            else:
                out.entity_key[into], out.entity[:, into] = key, spans
        else:
            codes, right = self._codes(slot, words, size, there)
            if right is not None:
                self.good &= right
            column = out.categorical if slot.scope == FEATURES else out.codes
            column[slot.name][into] = codes

    def _codes(
        self, slot: Slot, words: list[Lanes], size: IntArray, there: BoolArray | None
    ) -> tuple[RowCodes, BoolArray | None]:
        keys = words[0] if len(words) == 1 else np.where(size > 8, hashed(words, size), words[0])
        return self.coders[slot.scope, slot.name].code(words, keys, there)


def _may_be_null(slot: Slot) -> bool:
    never = slot.scope == EVENT and slot.name in _NEVER_NULL
    return not never and slot.scope != SEGMENT
