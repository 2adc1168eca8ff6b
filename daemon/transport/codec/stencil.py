"""Stencils: what stands between the values of the events of one writer.

A program writes its events with the same fields in the same order, so that only the values differ.
Where everything between them is known, places of values follow from those of the commas, and no
JSON has to be read. A stencil never guesses: a row whose text between the values is another is
none of its rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from watchkeeper.daemon.transport.codec.json import DECODE, DecodeErrors
from watchkeeper.daemon.transport.codec.lanes import AT_ONCE, Lanes, load
from watchkeeper.daemon.transport.codec.shapes import NULL, NUMBER, WORD, BulkKind, look
from watchkeeper.detectors.types import STATUS_CODES, BoolArray, IntArray

MOST_SLOTS = 256
LONGEST = 16_384  # bytes of an event that a stencil is made of
COMMA = ord(",")

EVENT, ANSWER, FEATURES, SEGMENT = "", "prediction", "features", "segment"
_SCOPES = frozenset({ANSWER, FEATURES, SEGMENT})
# Fields whose values are few: they belong to the text.
_CONSTANT = frozenset({"schema", "kind", "status", "sample_rate", "probabilities"})
_NUMBERS = frozenset({"duration_s", "score", "value"})
_TOKEN = re.compile(
    rb'[ \t\r\n]*([{}:,]|"[^"\\\x00-\x1f\x80-\xff]*"|-?[0-9][-+.eE0-9]*|true|false|null)'
)


class Slot(NamedTuple):
    """Where a value stands; `kind` as in `shapes`."""

    scope: str
    name: str
    kind: int


class Stencil(NamedTuple):
    """The text before each value and behind the last, and what the values are."""

    literals: tuple[bytes, ...]
    slots: tuple[Slot, ...]
    status: int  # the events' status, which is part of the text


def stencil_of(kind: BulkKind, value: bytes) -> Stencil | None:
    """The stencil of an event; None where it has none."""
    seen = look(kind, value) if len(value) <= LONGEST else None
    if seen is None or seen.open:
        return None
    try:
        row = DECODE[kind](value)
    except DecodeErrors:
        return None
    found = _slots(value)
    if found is None or not 0 < len(found) <= MOST_SLOTS:
        return None
    ends = [0, *(end for _, _, end in found)]
    begins = [*(begin for _, begin, _ in found), len(value)]
    literals = tuple(value[a:b] for a, b in zip(ends, begins, strict=True))
    status = STATUS_CODES[row.status] if kind == "prediction" else 0
    return Stencil(literals, tuple(slot for slot, _, _ in found), status)


def _slots(value: bytes) -> list[tuple[Slot, int, int]] | None:
    """The values of a right event with the places where they stand; None for what has lists,
    escapes, or names twice."""
    found: list[tuple[Slot, int, int]] = []
    scopes: list[str] = []
    names: set[tuple[int, str]] = set()
    at, name, before = 0, "", b""
    while (match := _TOKEN.match(value, at)) is not None:
        token, at = match[1], match.end()
        if token == b"{":
            scopes.append(name if scopes else EVENT)
            if len(scopes) > 2 or (len(scopes) == 2 and name not in _SCOPES):
                return None
        elif token == b"}":
            scopes.pop()
        elif token.startswith(b'"') and before in (b"{", b","):
            name = token[1:-1].decode()
            if (len(scopes), name) in names and len(scopes) < 2:
                return None
            names.add((len(scopes), name))
        elif token not in (b":", b",") and not _is_text(scopes, name):
            slot = Slot(scopes[-1], name, _kind(scopes[-1], name, token))
            found.append((slot, *match.span(1)))
        before = token
    if value[at:].strip() or len({slot[:2] for slot, _, _ in found}) < len(found):
        return None
    return found


def _is_text(scopes: list[str], name: str) -> bool:
    """Whether a field's value belongs to the text."""
    return scopes[-1] in (EVENT, ANSWER) and name in _CONSTANT


def _kind(scope: str, name: str, token: bytes) -> int:
    if scope != FEATURES:
        return NUMBER if scope != SEGMENT and name in _NUMBERS else WORD
    if token == b"null":
        return NULL
    return WORD if token.startswith(b'"') else NUMBER


class Plan:
    """A stencil as arrays: which rows are of it, and where their values stand.

    Rows are given by their edges: the first byte, every comma, and the byte behind the last.
    """

    def __init__(self, stencil: Stencil) -> None:
        self.stencil = stencil
        edge, anchors, places, texts, masks = 0, [], [], [], []
        begin, end = [], []
        for i, literal in enumerate(stencil.literals):
            last = i == len(stencil.literals) - 1
            if i == 0:
                anchor, before = 0, 0
            elif last:
                anchor, before = -1, len(literal)
            else:
                anchor, before = edge + 1, literal.index(COMMA)
            end.append((anchor, -before))
            begin.append((anchor, len(literal) - before))
            for j in range(0, len(literal), 8):
                piece = literal[j : j + 8]
                anchors.append(anchor)
                places.append(j - before)
                texts.append(int.from_bytes(piece, "little"))
                masks.append((1 << 8 * len(piece)) - 1)
            edge += literal.count(COMMA)
        self.commas = edge
        last_edge = edge + 1
        self._anchor = np.array([a if a >= 0 else last_edge for a in anchors], dtype=np.int64)
        self._place = np.array(places, dtype=np.int64)[:, None]
        self._text = np.array(texts, dtype=np.uint64)[:, None]
        self._mask = np.array(masks, dtype=np.uint64)[:, None]
        self._begin = _edges(begin[:-1], last_edge)
        self._end = _edges(end[1:], last_edge)

    def places(self, edges: IntArray) -> tuple[IntArray, IntArray]:
        """Where each slot's values begin and end, a row a slot."""
        (begin, more), (end, less) = self._begin, self._end
        begins, ends = edges.take(begin, axis=0), edges.take(end, axis=0)
        begins += more
        ends += less
        return begins, ends

    def fits(self, words: Lanes, edges: IntArray) -> BoolArray:
        """Which rows have just this text between their values, if these have a place to stand."""
        wrong = np.zeros(edges.shape[1], dtype=np.uint64)
        many = max(AT_ONCE // edges.shape[1], 1)
        for i in range(0, len(self._anchor), many):
            some = slice(i, i + many)
            at = edges.take(self._anchor[some], axis=0)
            at += self._place[some]
            found = load(words, at, 1)[0]
            found ^= self._text[some]
            found &= self._mask[some]
            wrong |= np.bitwise_or.reduce(found, axis=0)
        return np.asarray(wrong == 0)


def _edges(places: list[tuple[int, int]], last: int) -> tuple[IntArray, IntArray]:
    edge = np.array([a if a >= 0 else last for a, _ in places], dtype=np.int64)
    return edge, np.array([b for _, b in places], dtype=np.int64)[:, None]


def typed(stencil: Stencil, kinds: Mapping[str, int]) -> Stencil:
    """The stencil with what is known of its features from other events."""
    slots = [
        slot._replace(kind=kinds[slot.name]) if slot.scope == FEATURES else slot
        for slot in stencil.slots
    ]
    return stencil._replace(slots=tuple(slots))
