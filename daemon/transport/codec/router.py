"""Records to frames, commands and dead letters: every record ends as exactly one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from watchkeeper.daemon.transport.codec import cloudevents
from watchkeeper.daemon.transport.codec.arrow import MOST_STREAM, is_arrow
from watchkeeper.daemon.transport.codec.arrow_blocks import stream_of
from watchkeeper.daemon.transport.codec.bulk import BULK, SAMPLED, Bulk
from watchkeeper.daemon.transport.codec.columns import Rows, frames_of, times
from watchkeeper.daemon.transport.codec.deadletter import DeadLetter
from watchkeeper.daemon.transport.codec.decoded import Decoded
from watchkeeper.daemon.transport.codec.fitting import by_topic, fitting
from watchkeeper.daemon.transport.codec.foreign import foreign
from watchkeeper.daemon.transport.codec.json import (
    DECODE,
    DecodeErrors,
    Row,
    check_strings,
    is_utf8,
    unknown_fields,
)
from watchkeeper.daemon.transport.codec.merged import merged
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.daemon.transport.codec.reread import command_of, reread
from watchkeeper.daemon.transport.codec.row_blocks import blocks_of
from watchkeeper.daemon.transport.codec.shapes import BulkKind
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.blocks import Block
from watchkeeper.detectors.types import EventKind, IntArray

MOST_BYTES = 262_144
# How far an event's time may be ahead of its record's.
AHEAD_S = 600.0


def decode(
    records: Sequence[Record],
    kinds: Mapping[str, EventKind],
    *,
    now: float | None = None,
    max_bytes: int = MOST_BYTES,
    blocks: bool = False,
    bulk: Bulk = BULK,
) -> Decoded:
    """Decodes a batch; never raises for what a record holds.

    `kinds` names the one kind of event that a topic holds: whoever may write to it can say nothing
    else there, and above all give no command. Where it names none, a CloudEvents type says the
    kind, then `schema`, then the shape of an object.

    An event's time may be ten minutes ahead of its record's, or of `now` where it has none;
    without either it is not checked against the future.

    With `blocks`, predictions and labels come as blocks of many models rather than as frames;
    `bulk` makes those of plain records.
    """
    if blocks and not isinstance(records, Records):
        records = Records.of(records)
    return _Batch(records, kinds, now, max_bytes, bulk if blocks else None).decoded()


class _Batch:
    """One call of `decode`."""

    def __init__(
        self,
        records: Sequence[Record],
        kinds: Mapping[str, EventKind],
        now: float | None,
        max_bytes: int,
        bulk: Bulk | None,
    ) -> None:
        self.records = records
        self.kinds = kinds
        self.bulk = bulk
        self.latest = float("inf") if now is None else now + AHEAD_S
        self.max_bytes = max_bytes
        self.rows: dict[EventKind, Rows] = {}
        self.refused: list[tuple[int, Refused]] = []
        self.dead: list[tuple[int, DeadLetter]] = []
        self.streams: list[Block] = []
        self.result = Decoded()

    def decoded(self) -> Decoded:
        for seq in self._odd() if self.bulk is None else self._left(self.bulk):
            record = self.records[seq]
            try:
                if is_arrow(record.headers) and record.value:
                    self._stream(seq, record)
                    continue
                if self._foreign(seq, record):
                    continue
                found = self._read(record)
                if found is not None:
                    self._check_topic(record, found[0])
            except Refused as refused:
                self.refused.append((seq, refused))
                continue
            if found is None:
                self.result.tombstones += 1
            else:
                self._add(seq, record, *found)
        for kind, rows in self.rows.items():
            self._collect(kind, rows)
        self._put(merged(self.streams))
        self._bury()
        return self.result

    def _odd(self) -> Sequence[int]:
        """Takes the plain records of each topic at once, in C; gives the places of all others."""
        places: dict[str, list[int]] = {}
        for seq, record in enumerate(self.records):
            places.setdefault(record.topic, []).append(seq)
        found = [self.kinds.get(topic) for topic in places]
        odd: list[int] = []
        for rows, kind in zip(places.values(), found, strict=True):
            if kind is None or found.count(kind) > 1 or not self._plain(kind, rows):
                odd += rows
        return sorted(odd)

    def _left(self, bulk: Bulk) -> Sequence[int]:
        """Takes what can be taken in bulk; gives the places of all other records."""
        records = self.records
        if not isinstance(records, Records):
            raise TypeError("only columns of records are read in bulk")
        left: list[int] = []
        for topic, rows in by_topic(records):
            kind = self.kinds.get(topic)
            if kind == "prediction" or kind == "label":
                left += self._taken(bulk, kind, records, rows)
            elif kind is None or kind in self.rows or not self._plain(kind, rows.tolist()):
                left += rows.tolist()
        return sorted(left)

    def _taken(self, bulk: Bulk, kind: BulkKind, records: Records, rows: IntArray) -> Iterable[int]:
        """Takes predictions or labels of one topic; gives the places of those it cannot take."""
        fit = fitting(records, rows, kind, self.max_bytes)
        mine = rows[fit] if fit is not None else rows
        if not len(mine):
            return [int(i) for i in rows]
        chosen = records if len(mine) == len(records) else records.take(mine)
        at = chosen.at
        latest = np.where(at > 0, at + AHEAD_S, self.latest)
        taken = bulk(kind, chosen, mine, latest)
        self.result.blocks += taken.blocks
        self.result.unknown_fields += taken.unknown
        return [*mine[taken.left].tolist(), *([] if fit is None else rows[~fit].tolist())]

    def _plain(self, kind: EventKind, places: list[int]) -> bool:
        """Whether all of these were bare events of the kind, and so were taken."""
        records = [self.records[seq] for seq in places]
        values = [record.value or b"" for record in records]
        if not all(values) or max(map(len, values)) > self.max_bytes:
            return False
        if any(record.headers for record in records):
            return False
        whole = b"".join(values)
        if not whole.isascii() or b"\\u0000" in whole:
            return False
        try:
            rows = [*map(DECODE[kind], values)]
        except DecodeErrors:
            return False
        for record in (records[0], *records[SAMPLED::SAMPLED]):
            self._count_unknown(kind, record)
        latest = [r.at + AHEAD_S if r.at > 0 else self.latest for r in records]
        self.rows[kind] = Rows(rows, places, latest)
        return True

    def _add(self, seq: int, record: Record, kind: EventKind, row: Row) -> None:
        rows = self.rows.get(kind)
        if rows is None:
            rows = self.rows[kind] = Rows()
        if not rows.rows or not seq % SAMPLED:
            self._count_unknown(kind, record)
        rows.add(row, seq, record.at + AHEAD_S if record.at > 0 else self.latest)

    def _read(self, record: Record) -> tuple[EventKind, Row] | None:
        """The record's kind and row, or None for a tombstone; raises Refused."""
        value = record.value
        if not value:
            if value is None and record.key is not None:
                return None
            raise Refused("empty", "there is no value")
        _check_size(value, self.max_bytes)
        kind = self.kinds.get(record.topic)
        if record.headers:
            kind = cloudevents.kind_in_headers(record.headers, kind)
        kind = kind or cloudevents.kind_of_value(value)
        if kind is None or not (value.isascii() or is_utf8(value)):
            return reread(record, value, kind)
        try:
            row = DECODE[kind](value)
        except DecodeErrors:
            return reread(record, value, kind)
        if b"\\u0000" in value:
            check_strings(row)
        return kind, row

    def _stream(self, seq: int, record: Record) -> None:
        """Takes a record that holds many events as columns; raises Refused."""
        _check_size(record.value or b"", MOST_STREAM)
        kind = cloudevents.kind_in_headers(record.headers, self.kinds.get(record.topic))
        if kind is None:
            raise Refused("unknown_kind", "nothing says which kind of event it holds")
        self._check_topic(record, kind)
        if kind != "prediction" and kind != "label":
            raise Refused("unsupported_format", f"a {kind} is not read as Arrow")
        latest = record.at + AHEAD_S if record.at > 0 else self.latest
        stream = stream_of(kind, record, seq, latest)
        self.streams += stream.blocks
        self.result.unknown_fields += stream.unknown
        if stream.dead is not None:
            self.dead.append((seq, stream.dead))

    def _foreign(self, seq: int, record: Record) -> bool:
        """Takes a record in another's wire format, if it is one; raises Refused."""
        value = record.value
        if not value or len(value) > self.max_bytes:
            return False
        latest = record.at + AHEAD_S if record.at > 0 else self.latest
        found = foreign(record, value, self.kinds.get(record.topic), latest)
        if found is None:
            return False
        rows = self.rows.setdefault(found.kind, Rows())
        for row in found.rows:
            rows.add(row, seq, latest)
        if found.dead is not None:
            self.dead.append((seq, found.dead))
        return True

    def _put(self, blocks: Sequence[Block]) -> None:
        if self.bulk is not None:
            self.result.blocks += blocks
        else:
            self.result.frames += [frame for block in blocks for frame in block.frames()]

    def _check_topic(self, record: Record, kind: EventKind) -> None:
        wanted = self.kinds.get(record.topic, kind)
        if kind != wanted:
            raise Refused("wrong_topic", f"is a {kind}, and {record.topic} is for a {wanted}")

    def _count_unknown(self, kind: EventKind, record: Record) -> None:
        self.result.unknown_fields += unknown_fields(kind, record.value or b"")

    def _collect(self, kind: EventKind, rows: Rows) -> None:
        if self.bulk is not None and (kind == "prediction" or kind == "label"):
            blocks, refused = blocks_of(kind, rows)
            self.refused += refused
            self.result.blocks += blocks
            return
        if kind != "command":
            frames, refused = frames_of(kind, rows)
            self.refused += refused
            self.result.frames += frames
            return
        for i in times(rows, self.refused)[1]:
            try:
                self.result.commands.append(command_of(rows.rows[i]))
            except Refused as wrong:
                self.refused.append((rows.seq[i], wrong))

    def _bury(self) -> None:
        for seq, why in self.refused:
            letter = DeadLetter(self.records[seq], why.reason, why.path, why.message)
            self.dead.append((seq, letter))
        self.dead.sort(key=lambda each: each[0])
        self.result.dead += [letter for _, letter in self.dead]


def _check_size(value: bytes, most: int) -> None:
    if len(value) > most:
        raise Refused("too_large", f"{len(value)} bytes, more than {most}")
