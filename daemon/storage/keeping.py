"""Kept events: for label joins after a restart, and as examples for retraining and scoring."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
import sqlalchemy as sa
import structlog
from sqlalchemy import RowMapping, select
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import blocks, rows, tables
from watchkeeper.daemon.storage.database import Row, insert_new, parts
from watchkeeper.daemon.storage.snapshots import HEAD, SnapshotError
from watchkeeper.daemon.storage.values import CapturedFrame, Damaged, Joins, Kept, KeptKind
from watchkeeper.detectors.blocks import Block, models_of
from watchkeeper.detectors.gathered import frames_of
from watchkeeper.detectors.keys import Keys

log = structlog.get_logger()

_t = tables.kept.c


def keep(
    connection: Connection, kept: Iterable[Kept], pause: Callable[[], object] = lambda: None
) -> None:
    """Adds blocks, one after the other: together they may be large. One that is there already is
    not added again."""
    for each in kept:
        pause()
        if len(each.rows):
            row = _row(each)
            pause()
            insert_new(connection, tables.kept, [row])


def joins(connection: Connection, partitions: Iterable[int], at: float) -> Joins:
    """What label joins need of the models at home in these partitions, in order of arrival."""
    numbers = sorted(set(partitions))
    wanted = select(_t.id, _t.models, _t.blob).where(_t.kind == "join", _t.partition.in_(numbers))
    found: list[Block] = []
    lost: list[int] = []
    counts: Counter[str] = Counter()
    reasons: list[str] = []
    for row in connection.execute(wanted.order_by(_t.id)):
        try:
            found.append(blocks.decode(row.blob))
        except SnapshotError as error:
            lost.append(row.id)
            counts.update(_counts(row.models))
            reasons.append(str(error))
    del counts[LABELS]
    return Joins(found, Damaged(lost, counts, reasons[0], at) if lost else None)


def put_away(connection: Connection, damaged: Damaged) -> None:
    """Keeps what cannot be read beside the rest, until it is too old, with a finding."""
    for some in parts(damaged.rows):
        connection.execute(sa.update(tables.kept).where(_t.id.in_(some)).values(kind=_DAMAGED))
    if damaged.finding is not None:
        insert_new(connection, tables.findings, [rows.finding(damaged.finding)])


def examples(connection: Connection, model: str, since: float, until: float) -> list[CapturedFrame]:
    """The whole events kept of one model, of blocks that touch [since, until], in order."""
    touching = (_t.kind == "whole") & (_t.to_at >= since) & (_t.from_at <= until)
    found = connection.execute(select(_t.id, _t.models).where(touching).order_by(_t.id))
    ids = [row.id for row in found if model in _counts(row.models)]
    mine: list[CapturedFrame] = []
    for some in parts(ids):
        rows = connection.execute(select(_t.id, _t.blob).where(_t.id.in_(some)).order_by(_t.id))
        for block in _decoded(rows):
            mine += [each for each in frames_of([_of(block, model)]) if len(each)]
    return mine


def _decoded(found: sa.CursorResult[tuple[int, bytes]]) -> Iterator[Block]:
    """The blocks of rows; what cannot be read is left where it is, and the log says so: a few
    examples less are no reason to stand still."""
    for row in found:
        try:
            yield blocks.decode(row.blob)
        except SnapshotError as error:
            log.error("kept events cannot be read, and are left out", row=row.id, reason=str(error))


def prune(
    connection: Connection,
    newest_n: int,
    keep_s: float,
    now: float,
    joins: Mapping[str, int] | None = None,
    numbers: Collection[int] | None = None,
) -> int:
    """Drops blocks of which every model has so many newer rows of the same kind, or that ended so
    long before the newest event of each of their models; gives how many went.

    `joins` are models whose label joins reach back further, and how many rows; `numbers` the
    partitions that are looked through, None: all.

    They are old beside their own models' events, so that a past that is read today keeps as much;
    an event that is ahead of `now` makes none older.
    """
    all_rows = connection.execute(
        select(_t.id, _t.kind, _t.partition, _t.to_at, _t.models).order_by(_t.id.desc())
    )
    found = [row for row in all_rows.mappings() if numbers is None or row["partition"] in numbers]
    gone = _unneeded(found, newest_n, keep_s, now, joins or {})
    for some in parts(gone):
        connection.execute(sa.delete(tables.kept).where(_t.id.in_(some)))
    return len(gone)


def _unneeded(
    found: Sequence[RowMapping],
    newest_n: int,
    keep_s: float,
    now: float,
    joins: Mapping[str, int],
) -> list[int]:
    """Of blocks, the newest first, those that `prune` drops."""
    newest: dict[str, float] = {}
    for row in found:
        at: float = row["to_at"]
        for model in _counts(row["models"]):
            newest[model] = max(newest.get(model, at), at)
    newer: Counter[tuple[str, str, int]] = Counter()
    gone: list[int] = []
    for row in found:
        counts, at, number = _counts(row["models"]), row["to_at"], row["partition"]
        kind = f"{row['kind']}-labels" if LABELS in counts else row["kind"]
        longer = joins if row["kind"] == "join" else {}
        mine = {model: n for model, n in counts.items() if model != LABELS}
        many = bool(mine) and all(newer[m, kind, number] >= longer.get(m, newest_n) for m in mine)
        ends = [newest[model] for model in mine] or [now]
        long_ago = all(at < min(end, now) - keep_s for end in ends)
        if many or long_ago:
            gone.append(row["id"])
        for model, n in mine.items():
            newer[model, kind, number] += n
    return gone


def _counts(models: bytes) -> dict[str, int]:
    """How many rows each model has; nothing where that cannot be read."""
    try:
        return _models.decode(models)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


LABELS = ""  # stands beside the models in a block of labels: no model is called so
_DAMAGED = "damaged"  # the kind of what cannot be read
_models = msgspec.msgpack.Decoder(dict[str, int])


def _row(kept: Kept) -> Row:
    packed = kept.rows if isinstance(kept.rows, blocks.Packed) else blocks.pack(kept.rows)
    blob = blocks.encode(packed)
    marked = {LABELS: len(packed)} if packed.is_labels else {}
    return {
        "partition": kept.partition,
        "kind": kept.kind,
        "from_at": packed.from_at,
        "to_at": packed.to_at,
        "models": msgspec.msgpack.encode({**packed.counts, **marked}),
        "digest": _digest(kept, blob, packed.keys),
        "blob": blob,
    }


def _digest(kept: Kept, blob: bytes, keys: Keys) -> str:
    """Tells a block from every other: by its checksum, which stands in its head, and its keys."""
    told = hashlib.blake2b(f"{kept.partition} {kept.kind} {len(blob)} ".encode(), digest_size=16)
    told.update(blob[:HEAD])
    told.update(keys[:: max(len(keys) // 64, 1)].tobytes())
    return told.hexdigest()


def _of(block: Block, model: str) -> Block:
    models, place = models_of(block)
    return block.take(np.array([each == model for each in models], dtype=np.bool_)[place])


__all__ = ["KeptKind", "examples", "joins", "keep", "prune", "put_away"]
