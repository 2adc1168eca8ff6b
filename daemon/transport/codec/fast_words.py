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
    QUOTE,
    Raw,
    Wide,
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
LONGEST = 128  # bytes of a name that the table takes
_WIDTH = LONGEST // 8
_SPREAD = 40_503
_FACTOR = np.uint64(FACTOR)


class Names(NamedTuple):
    """Names by entry. `table` holds entries by key; `scope` says which object the name belongs
    to, `field` what it means, `text` its bytes as numbers. `follows` is the entry that came next
    when it was seen last. The first entries, one a scope, are no names but their beginnings.
    """

    table: Array  # int32, 0 where there is none
    scope: Array  # int64
    field: Array  # int64
    key: Array  # uint64
    length: Array  # int64
    text: Array  # uint64, (entries, 16)
    follows: Array  # int32, 0 where there is none


class Coded(NamedTuple):
    """Words by entry. `table` holds entries by key, one too high; a word is the bytes from
    `first` to `second` of the buffer and has `code` in its `column`. `counts` is how many words a
    column has, at its end how many entries there are.
    """

    table: Array  # int32
    key: Array  # uint64
    column: Array  # int64
    first: Array  # int64
    second: Array  # int64
    code: Array  # int32
    counts: Array  # int64


class Known:
    """The names of fields and features that the kernels know; entries never change."""

    def __init__(self, scopes: int, fixed: Iterable[tuple[int, int, str]]) -> None:
        self.words = [""] * scopes
        self.names = _empty_names(64)
        for scope, field, name in fixed:
            self.add(scope, field, name)

    def __len__(self) -> int:
        return len(self.words)

    def add(self, scope: int, field: int, name: str) -> None:
        """Takes up a name; one of more than `LONGEST` bytes stays unknown."""
        raw = name.encode()
        if len(raw) > LONGEST:
            return
        entry = len(self.words)
        if entry == len(self.names.key):
            self._grow()
        names = self.names
        names.scope[entry], names.field[entry], names.length[entry] = scope, field, len(raw)
        names.key[entry] = keys_of([name])[0]
        names.text[entry] = np.frombuffer(raw.ljust(LONGEST, b"\0"), dtype="<u8")
        self.words.append(name)
        self._put(entry)

    def _put(self, entry: int) -> None:
        names = self.names
        room = len(names.table)
        place = (int(names.key[entry]) + int(names.scope[entry]) * _SPREAD) % room
        while names.table[place]:
            place = (place + 1) % room
        names.table[place] = entry

    def _grow(self) -> None:
        old, self.names = self.names, _empty_names(2 * len(self.names.key))
        for before, after in zip(old[1:], self.names[1:], strict=True):
            after[: len(before)] = before
        for entry in np.flatnonzero(old.field >= 0).tolist():
            self._put(entry)


def _empty_names(room: int) -> Names:
    return Names(
        np.zeros(2 * room, dtype=np.int32),
        np.zeros(room, dtype=np.int64),
        np.full(room, -1, dtype=np.int64),
        np.zeros(room, dtype=np.uint64),
        np.zeros(room, dtype=np.int64),
        np.zeros((room, _WIDTH), dtype=np.uint64),
        np.zeros(room, dtype=np.int32),
    )


def words_of(entries: int, columns: int) -> Coded:
    """A table without words, with room for so many."""
    return Coded(
        np.zeros(1 << (2 * entries).bit_length(), dtype=np.int32),
        np.empty(entries, dtype=np.uint64),
        np.empty(entries, dtype=np.int64),
        np.empty(entries, dtype=np.int64),
        np.empty(entries, dtype=np.int64),
        np.empty(entries, dtype=np.int32),
        np.zeros(columns + 1, dtype=np.int64),
    )


@kernel()
def named(
    raw: Raw, words: Wide, names: Names, scope: int, guess: int, at: int, end: int
) -> tuple[int, int]:
    """The entry of the name begun at `at`, ODD where nobody knows it, and the place of the quote
    behind it, ODD where that is not plain. `guess` is tried first."""
    if guess > 0:
        stop = at + names.length[guess]
        if stop < end and raw[stop] == QUOTE and _is_entry(raw, words, names, guess, at, stop):
            return guess, stop
    stop = text_end(raw, words, at, end)
    if stop < 0:
        return ODD, ODD
    key = key_of(raw, words, at, stop)
    mask = len(names.table) - 1
    place = (signed(key) + scope * _SPREAD) & mask
    while names.table[place] != 0:
        entry = signed(names.table[place])
        if names.key[entry] == key and names.scope[entry] == scope:
            equal = names.length[entry] == stop - at
            if equal and _is_entry(raw, words, names, entry, at, stop):
                return entry, stop
        place = (place + 1) & mask
    return ODD, stop


@kernel()
def _is_entry(raw: Raw, words: Wide, names: Names, entry: int, at: int, stop: int) -> bool:
    """Whether the text from `at` to `stop`, of the name's length, is the name."""
    for i in range((stop - at + 7) // 8):
        if word_at(raw, words, at + 8 * i, stop) != names.text[entry, i]:
            return False
    return True


@kernel()
def coded(raw: Raw, words: Wide, table: Coded, column: int, at: int, end: int) -> int:
    """The code of a text in its column, a new one where it is new; else ODD or FULL."""
    key = key_of(raw, words, at, end)
    mask = len(table.table) - 1
    place = (signed(key) + column * _SPREAD) & mask
    while table.table[place] != 0:
        entry = signed(table.table[place]) - 1
        if table.key[entry] == key and table.column[entry] == column:
            first, length = table.first[entry], table.second[entry] - table.first[entry]
            if length == end - at and same(raw, words, first, at, length):
                return signed(table.code[entry])
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
    while table.table[place] != 0:
        entry = signed(table.table[place]) - 1
        same_model = table.column[entry] == MEMBER and table.first[entry] == model
        if same_model and table.second[entry] == version:
            return signed(table.code[entry])
        place = (place + 1) & mask
    return _new(table, place, key, MEMBER, model, version)


@kernel()
def _new(table: Coded, place: int, key: np.uint64, column: int, first: int, second: int) -> int:
    entry = table.counts[-1]
    if entry == len(table.key):
        return FULL
    code = table.counts[column]
    table.table[place] = entry + 1
    table.key[entry], table.column[entry], table.code[entry] = key, column, code
    table.first[entry], table.second[entry] = first, second
    table.counts[column] += 1
    table.counts[-1] += 1
    return signed(code)
