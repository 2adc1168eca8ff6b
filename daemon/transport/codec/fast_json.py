"""Bare JSON predictions and labels to blocks in compiled loops: the `Bulk` of the extra `fast`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from watchkeeper.daemon.transport.codec import fast_fields as f
from watchkeeper.daemon.transport.codec.bulk import SAMPLED, Bulk, Taken
from watchkeeper.daemon.transport.codec.fast_event import events, shapes
from watchkeeper.daemon.transport.codec.fast_fields import out_of
from watchkeeper.daemon.transport.codec.fast_found import Found
from watchkeeper.daemon.transport.codec.fast_scan import SHORTEST, wide
from watchkeeper.daemon.transport.codec.fast_words import (
    FIRST_TEXT,
    Array,
    Known,
    words_of,
)
from watchkeeper.daemon.transport.codec.features import wrong_names
from watchkeeper.daemon.transport.codec.json import DecodeErrors, unknown_fields
from watchkeeper.daemon.transport.codec.packing import SLACK
from watchkeeper.daemon.transport.codec.rosters import Rosters
from watchkeeper.daemon.transport.codec.shapes import BulkKind
from watchkeeper.daemon.transport.records import Records
from watchkeeper.daemon.transport.spans import Span
from watchkeeper.detectors.blocks import Block
from watchkeeper.detectors.types import FloatArray, IntArray

MOST_NAMES = 32_768  # of features; where there are more, all are learned anew
_CHUNK = 4_096  # rows of a block at most
_CELLS = 2**22  # of a block's features
_FEWEST, _MOST = 64, 2_048  # columns of features there is room for
_NO_ROWS: IntArray = np.zeros(0, dtype=np.int64)
_LOOKS = 256  # rows of a batch that are looked at for new features
MOST_NEW = 8_192  # names that a batch adds, give or take those of one row


class Compiled:
    """The fast way with numba: it knows the names of features that it has seen before, and
    whether events lately had so different ones that they are sorted by them first.

    What the kernels leave, for instance texts with escapes and probabilities, is for `next_`.
    """

    def __init__(self, next_: Bulk) -> None:
        self._next = next_
        self._known = Known(f.SCOPES, f.FIXED)
        self._features: set[str] = set()
        self._unknown = self._mixed = False
        self._rosters = Rosters()

    def __call__(
        self, kind: BulkKind, records: Records, seq: IntArray, latest: FloatArray
    ) -> Taken:
        """See `Bulk`."""
        span = records.span()
        self._unknown = False
        blocks, left = self._read(kind, span, seq, latest)
        if len(left) and kind == "prediction" and self._learn(span, left):
            again, still = self._read(kind, span.take(left), seq[left], latest[left])
            blocks, left = blocks + again, left[still]
        unknown = _unknown(kind, span) if self._unknown else 0
        if not len(left):
            return Taken(blocks, left, unknown)
        rest = self._next(kind, records.take(left), seq[left], latest[left])
        return Taken(blocks + rest.blocks, left[rest.left], unknown or rest.unknown)

    def _read(
        self, kind: BulkKind, span: Span, seq: IntArray, latest: FloatArray
    ) -> tuple[list[Block], IntArray]:
        """The blocks of what could be read, and the places of the others."""
        n = len(span.start)
        if len(span.buffer) < SHORTEST:
            return [], np.arange(n)
        odd = np.ones(n, dtype=np.bool_)
        blocks: list[Block] = []
        scope = f.PREDICTION if kind == "prediction" else f.TRUTH
        every = np.arange(n)
        plan = self._by_shape(span, every) if scope == f.PREDICTION and self._mixed else _cut(every)
        while plan:
            rows, most = plan.pop()
            most = most if scope == f.PREDICTION else 1
            out = out_of(len(rows), most, self._known.room)
            table = words_of(8 * len(rows) + 256, FIRST_TEXT + most)
            done = events(
                *wide(span.buffer), _some(span.start, rows), _some(span.end, rows),
                _some(latest, rows), scope, self._known.names, table, out,
            )  # fmt: skip
            taken = _some(rows, out.rows[: out.used[f.TAKEN]])
            self._unknown |= bool(out.used[f.UNKNOWN])
            if len(taken):
                whole = len(taken) == done
                found = Found(span.buffer, table, out, _some(seq, taken), whole, self._rosters)
                made = found.predictions(self._known) if most > 1 else [found.labels()]
                self._mixed |= len(made) > 1
                blocks += made
            if len(taken) == n:
                return blocks, _NO_ROWS
            odd[taken] = False
            if done < len(rows) and most in (out.used[f.NUMERIC], out.used[f.TEXTS]) and most > 1:
                left = [rows[done:], *(more for more, _ in plan)]
                plan = self._by_shape(span, np.sort(np.concatenate(left)))
            elif done < len(rows):
                plan.append((rows[done:], most))
        return blocks, np.flatnonzero(odd)

    def _by_shape(self, span: Span, rows: IntArray) -> list[tuple[IntArray, int]]:
        """Rows by their features, so that no block has many holes, and how many columns each has
        at most. Rows that are not plain are left out."""
        shape, count = np.empty(len(rows), dtype=np.uint64), np.empty(len(rows), dtype=np.int64)
        shapes(
            *wide(span.buffer), span.start[rows], span.end[rows], self._known.names, shape, count
        )
        kept = np.flatnonzero(shape)
        order = kept[np.argsort(shape[kept], kind="stable")]
        cuts = np.flatnonzero(np.diff(shape[order])) + 1
        plan: list[tuple[IntArray, int]] = []
        mine: list[IntArray] = []
        self._mixed = False
        size = columns = there = 0
        for part in np.split(order, cuts) if len(order) else ():
            wide_by = int(count[part[0]])
            size, columns = size + len(part), columns + wide_by
            there += wide_by * len(part)
            if mine and size * columns > 2 * there + SLACK:
                plan += _cut(
                    np.sort(rows[np.concatenate(mine)]), sum(int(count[m[0]]) for m in mine)
                )
                mine, size, columns, there = [], len(part), wide_by, wide_by * len(part)
                self._mixed = True
            mine.append(part)
        if mine:
            plan += _cut(np.sort(rows[np.concatenate(mine)]), columns)
        return plan

    def _learn(self, span: Span, left: IntArray) -> bool:
        """Takes up the features of rows that were left; whether there were new ones."""
        fresh: set[str] = set()
        for value in span.take(left[:_LOOKS]).values():
            fresh.update(_new_features(value or b"", self._features))
            if len(fresh) >= MOST_NEW:
                break
        if len(self._features) + len(fresh) > MOST_NAMES:
            self._known, self._features = Known(f.SCOPES, f.FIXED), set()
        for name in sorted(fresh):
            self._known.add(f.FEATURES, f.FEATURE, name)
        self._features |= fresh
        return bool(fresh)


def _some(column: Array, rows: IntArray) -> Array:
    """The chosen rows of a column, which are in order; the column itself where they are all."""
    return column if len(rows) == len(column) and column.flags.carray else column[rows]


def _cut(rows: IntArray, most: int = 0) -> list[tuple[IntArray, int]]:
    """The rows in portions, the last first, and how many columns each has room for."""
    portions = [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
    room = [min(max(_CELLS // len(each), _FEWEST), _MOST) for each in portions]
    return [(each, max(most, 2) if most else n) for each, n in zip(portions, room, strict=True)][
        ::-1
    ]


def _unknown(kind: BulkKind, span: Span) -> int:
    """How many fields nobody knows, in the records that are looked at."""
    values = span.take(slice(None, None, SAMPLED)).values()
    return sum(unknown_fields(kind, value or b"") for value in values)


def _new_features(value: bytes, known: set[str]) -> Iterator[str]:
    """The names of an event's features that are not known, if they may be such."""
    try:
        event = _features_of(value)
    except DecodeErrors:
        return
    features = event.features
    if features.keys() <= known or wrong_names(features) is not None:
        return
    for name in features.keys() - known:
        # Those would stand escaped in the text, and the kernel does not read escapes.
        if '"' not in name and "\\" not in name:
            yield name


class _Inputs(msgspec.Struct, gc=False):
    features: dict[str, msgspec.Raw] = {}


_features_of = msgspec.json.Decoder(_Inputs).decode
