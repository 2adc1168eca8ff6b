"""Kernels that know names and words: names of fields by a table, words by codes they are given.

Both tables are hash tables with open addressing over the keys of texts; equal keys are never
trusted, the bytes are compared as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.transport.codec.fast_scan import (
    Raw,
    Wide,
    index,
    is_name,
    key_of,
    same,
    signed,
    text_end,
    word_at,
)
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.keys import FACTOR, keys_of

Array = npt.NDArray[Any]

# What `coded` answers besides a code: the typed decoder is needed, or another table.
ODD, FULL = -1, -2
# Columns of words. A member's texts are the codes of its model and its version.
MODEL, VERSION, LABEL, MEMBER, FIRST_TEXT = 0, 1, 2, 3, 4
SOURCE = FIRST_TEXT  # of truths, which have no features
LONGEST = 128  # bytes of a name that the table takes
_WIDTH = LONGEST // 8 + 1  # in words, with two quotes and a colon
_SPREAD = 40_503
_MOST_NAMED = 64  # sets of columns whose names are remembered
_FACTOR, _NONE = np.uint64(FACTOR), np.uint64(0)


# The columns of `Names.rows`; the text follows, eight bytes a column.
LENGTH, FOLLOWS, FIELD, SCOPE, KEY, TEXT = 0, 1, 2, 3, 4, 5
_NAME_WIDTH = 24
# The columns of `Coded.rows`.
_KEY, _COLUMN, _FIRST, _SECOND, _CODE = 0, 1, 2, 3, 4
_WORD_WIDTH = 8


class Names(NamedTuple):
    """Names by entry. `table` holds entries by key, 0 where there is none. A row is the name's
    length in bytes, the entry that came next when it was seen last, what it means (-1: nothing),
    which object it belongs to, its key, and its bytes in quotes with a colon behind them, all as
    numbers: what is used together lies together. The first entries, one a scope, are no names but
    their beginnings.
    """

    table: Array  # int32
    rows: Array  # int64, (entries, 24)


class Coded(NamedTuple):
    """Words by entry. `table` holds entries by key, one too high. A row is the word's key and
    column, where it begins and ends in the buffer, and its code in its column. `counts` is how
    many words a column has, at its end how many entries there are.
    """

    table: Array  # int32
    rows: Array  # int64, (entries, 8)
    counts: Array  # int64


class Known:
    """The names of fields and features that the kernels know; entries never change."""

    def __init__(self, scopes: int, fixed: Iterable[tuple[int, int, str]]) -> None:
        self.words = [""] * scopes
        self._named: dict[bytes, list[tuple[str, int]]] = {}
        self.names = _empty_names(64)
        for scope, field, name in fixed:
            self.add(scope, field, name)

    @property
    def room(self) -> int:
        """A number above every entry."""
        return len(self.names.rows)

    def columns(self, places: Array) -> list[tuple[str, int]]:
        """The names that have a column, in order, where `places` has each entry's, or -1."""
        seen = places.tobytes()
        found = self._named.get(seen)
        if found is None:
            if len(self._named) == _MOST_NAMED:
                self._named.clear()
            found = [(self.words[e], int(places[e])) for e in np.flatnonzero(places >= 0).tolist()]
            self._named[seen] = found = sorted(found)
        return found

    def add(self, scope: int, field: int, name: str) -> None:
        """Takes up a name; one of more than `LONGEST` bytes stays unknown."""
        raw = name.encode()
        if len(raw) > LONGEST:
            return
        entry = len(self.words)
        if entry == self.room:
            self._grow()
        row = self.names.rows[entry]
        row[LENGTH], row[FIELD], row[SCOPE] = len(raw), field, scope
        row[KEY] = keys_of([name]).view(np.int64)[0]
        row[TEXT : TEXT + _WIDTH] = np.frombuffer(
            (b'"' + raw + b'":').ljust(8 * _WIDTH, b"\0"), dtype="<i8"
        )
        self.words.append(name)
        self._put(entry)

    def _put(self, entry: int) -> None:
        table, row = self.names.table, self.names.rows[entry]
        place = (int(row[KEY]) + int(row[SCOPE]) * _SPREAD) % len(table)
        while table[place]:
            place = (place + 1) % len(table)
        table[place] = entry

    def _grow(self) -> None:
        old = self.names.rows
        self.names = _empty_names(2 * len(old))
        self.names.rows[: len(old)] = old
        for entry in np.flatnonzero(old[:, FIELD] >= 0).tolist():
            self._put(entry)


def _empty_names(room: int) -> Names:
    names = Names(np.zeros(2 * room, dtype=np.int32), np.zeros((room, _NAME_WIDTH), dtype=np.int64))
    names.rows[:, FIELD] = -1
    return names


def words_of(entries: int, columns: int) -> Coded:
    """A table without words, with room for so many."""
    return Coded(
        np.zeros(1 << (2 * entries).bit_length(), dtype=np.int32),
        np.empty((entries, _WORD_WIDTH), dtype=np.int64),
        np.zeros(columns + 1, dtype=np.int64),
    )


class Entries(NamedTuple):
    """The words of a table in order of their codes."""

    rows: Array

    def texts(self, column: int) -> tuple[Array, Array, Array]:
        """The keys of a column's words, and where they begin and end."""
        mine = self.rows[self.rows[:, _COLUMN] == column]
        return mine[:, _KEY], mine[:, _FIRST], mine[:, _SECOND]

    def pairs(self) -> tuple[Array, Array]:
        """The codes of the members' models, and of their versions."""
        _, models, versions = self.texts(MEMBER)
        return models, versions

    def others(self) -> list[tuple[int, int, int]]:
        """The columns of all other words, and where these begin and end."""
        named = (self.rows[:, _COLUMN] == LABEL) | (self.rows[:, _COLUMN] >= FIRST_TEXT)
        return [tuple(row) for row in self.rows[named][:, [_COLUMN, _FIRST, _SECOND]].tolist()]


class Few(NamedTuple):
    """The words of a small table: the models, the members with the names of both, and the columns
    of all other words with where these begin and end."""

    models: list[bytes]
    members: list[tuple[bytes, bytes]]
    others: list[tuple[int, int, int]]


def few_of(entries: Entries, buffer: bytes) -> Few:
    """The words one by one, for which each operation on an array would cost more."""
    models: list[bytes] = []
    versions: list[bytes] = []
    pairs: list[tuple[int, int]] = []
    others: list[tuple[int, int, int]] = []
    for column, first, second in entries.rows[:, _COLUMN:_CODE].tolist():
        if column == MODEL:
            models.append(buffer[first:second])
        elif column == VERSION:
            versions.append(buffer[first:second])
        elif column == MEMBER:
            pairs.append((first, second))
        else:
            others.append((column, first, second))
    return Few(models, [(models[model], versions[version]) for model, version in pairs], others)


def entries_of(table: Coded) -> Entries:
    """All words of a table."""
    return Entries(table.rows[: table.counts[-1]])


@kernel()
def follows(raw: Raw, words: Wide, names: Names, entry: int, at: int, end: int) -> int:
    """The place behind the name `entry` and its colon, if just they begin at `at`; else ODD."""
    stop = at + names.rows[index(entry), LENGTH] + 3
    return stop if stop < end and _begins(raw, words, names, entry, at, stop) else ODD


@kernel(apart=True)
def looked_up(
    raw: Raw, words: Wide, names: Names, scope: int, at: int, end: int
) -> tuple[int, int]:
    """The entry of the name whose quote is at `at`, ODD where nobody knows it, and the place of the
    quote behind it, ODD where that is not plain."""
    stop = text_end(raw, words, at + 1, end)
    if stop < 0:
        return ODD, ODD
    key = signed(key_of(raw, words, at + 1, stop))
    size = stop - at - 1
    mask = len(names.table) - 1
    place = (key + scope * _SPREAD) & mask
    while names.table[index(place)] != 0:
        entry = signed(names.table[index(place)])
        row = names.rows[entry]
        alike = row[KEY] == key and row[SCOPE] == scope and row[LENGTH] == size
        if alike and _begins(raw, words, names, entry, at, stop + 1):
            return entry, stop
        place = (place + 1) & mask
    return ODD, stop


@kernel()
def _begins(raw: Raw, words: Wide, names: Names, entry: int, at: int, stop: int) -> bool:
    """Whether a name, its quote and so on begin with what stands from `at` to `stop`."""
    column = TEXT
    while at + 8 <= stop:
        if np.uint64(words[index(at)].word) != np.uint64(names.rows[index(entry), index(column)]):
            return False
        at += 8
        column += 1
    if at == stop:
        return True
    rest = np.uint64(words[index(at)].word) if at < len(words) else word_at(raw, words, at, stop)
    rest ^= np.uint64(names.rows[index(entry), index(column)])
    return bool(rest << np.uint64(8 * (at + 8 - stop)) == _NONE)


@kernel()
def coded(raw: Raw, words: Wide, table: Coded, column: int, at: int, end: int) -> int:
    """The code of a text in its column, a new one where it is new; else ODD or FULL."""
    key = signed(key_of(raw, words, at, end))
    mask = len(table.table) - 1
    place = (key + column * _SPREAD) & mask
    while table.table[index(place)] != 0:
        row = table.rows[index(table.table[index(place)] - 1)]
        first, size = row[_FIRST], end - at
        alike = row[_KEY] == key and row[_COLUMN] == column and row[_SECOND] - first == size
        # Of eight bytes and one length, each text has a key of its own.
        if alike and ((size <= 8 and key != 1) or same(raw, words, first, at, size)):
            return signed(row[_CODE])
        place = (place + 1) & mask
    if column <= VERSION and not is_name(raw, at, end):
        return ODD
    return _new(table, place, key, column, at, end)


@kernel()
def member_of(table: Coded, model: int, version: int) -> int:
    """The code of a model's and a version's codes together; else FULL."""
    key = np.uint64(model << 32 | version) * _FACTOR
    key ^= key >> np.uint64(32)
    mask = len(table.table) - 1
    place = (signed(key) + MEMBER * _SPREAD) & mask
    while table.table[index(place)] != 0:
        row = table.rows[index(table.table[index(place)] - 1)]
        if row[_COLUMN] == MEMBER and row[_FIRST] == model and row[_SECOND] == version:
            return signed(row[_CODE])
        place = (place + 1) & mask
    return _new(table, place, signed(key), MEMBER, model, version)


@kernel(apart=True)
def _new(table: Coded, place: int, key: int, column: int, first: int, second: int) -> int:
    entry = signed(table.counts[-1])
    if entry == len(table.rows):
        return FULL
    code = signed(table.counts[column])
    table.table[index(place)] = entry + 1
    row = table.rows[entry]
    row[_KEY], row[_COLUMN], row[_CODE] = key, column, code
    row[_FIRST], row[_SECOND] = first, second
    table.counts[column] += 1
    table.counts[-1] += 1
    return code
