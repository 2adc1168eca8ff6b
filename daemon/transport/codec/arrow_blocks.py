"""Arrow batches to blocks: whole columns at once, and row by row only what is odd."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np

from watchkeeper.daemon.transport.codec.arrow import Batch, batches, slice_of
from watchkeeper.daemon.transport.codec.arrow_columns import block_of
from watchkeeper.daemon.transport.codec.arrow_rows import row_of
from watchkeeper.daemon.transport.codec.columns import Rows
from watchkeeper.daemon.transport.codec.deadletter import DeadLetter
from watchkeeper.daemon.transport.codec.json import KNOWN_FIELDS
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.daemon.transport.codec.row_blocks import blocks_of
from watchkeeper.daemon.transport.codec.shapes import BulkKind
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.blocks import Block

_NAMED = 10  # bad rows that a dead letter tells of one by one


class Stream(NamedTuple):
    """What one record's stream held. The dead letter has its bad rows, and only these."""

    blocks: list[Block]
    dead: DeadLetter | None = None
    unknown: int = 0


def stream_of(kind: BulkKind, record: Record, seq: int, latest: float) -> Stream:
    """The rows of a record; every one has the record's place. Raises Refused."""
    found = batches(record.value or b"")
    blocks: list[Block] = []
    refused: list[tuple[int, Refused]] = []
    rows = Rows()
    for batch in found:
        block, odd = block_of(kind, batch, latest)
        blocks += block
        for i in odd:
            try:
                rows.add(row_of(kind, batch, i), batch.begin + i, latest)
            except Refused as wrong:
                refused.append((batch.begin + i, wrong))
    rest, wrong_rows = blocks_of(kind, rows) if len(rows) else ([], [])
    refused = sorted([*refused, *wrong_rows], key=lambda each: each[0])
    dead = _letter(record, found, refused) if refused else None
    blocks = [_placed(block, seq) for block in (*blocks, *rest)]
    return Stream(blocks, dead, _unknown(kind, found))


def _placed(block: Block, seq: int) -> Block:
    return replace(block, seq=np.full(len(block), seq, dtype=np.int64))


def _letter(record: Record, found: list[Batch], refused: list[tuple[int, Refused]]) -> DeadLetter:
    (first, why), rows = refused[0], [i for i, _ in refused]
    told = "; ".join(f"row {i} {each.path} {each.message}" for i, each in refused[:_NAMED])
    of = sum(each.batch.num_rows for each in found)
    said = f"{len(rows)} of {of} rows: {told}"
    alone = msgspec.structs.replace(record, value=slice_of(found, rows))
    return DeadLetter(alone, why.reason, f"$[{first}]{why.path[1:]}", said)


def _unknown(kind: BulkKind, found: list[Batch]) -> int:
    if not found:
        return 0
    names = {name.partition(".")[0] for name in found[0].columns}
    return len(names - KNOWN_FIELDS[kind])
