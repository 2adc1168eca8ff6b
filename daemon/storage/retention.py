"""How long rows are kept that nobody needs any more, and how many of those that come in floods.

States that were set aside are never dropped, nor are incidents, actions, the audit, messages that
wait or were refused, and commands without an answer. Of refused records so many are kept.
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import tables

_d = tables.dead_letters.c
_DAY_S = 86_400.0
FINDINGS_S = 90 * _DAY_S
SENT_S = 7 * _DAY_S
TAKEN_S = 30 * _DAY_S


class Most(msgspec.Struct, frozen=True):
    """How much may be kept of something: so many rows, and so many bytes of what they carry."""

    rows: int
    bytes: int


class Since(msgspec.Struct, frozen=True):
    """Refused records: the number of the last one, how many they are, and their bytes."""

    last: int
    rows: int
    bytes: int


class Dropped(msgspec.Struct, frozen=True):
    """Refused records that were dropped because there were too many: some had been sent once more,
    the others are lost."""

    replayed: int = 0
    lost: int = 0


class Forgotten(msgspec.Struct, frozen=True):
    """How many rows were dropped."""

    findings: int
    sent: int
    taken: int

    def __bool__(self) -> bool:
        return bool(self.findings or self.sent or self.taken)


def forget_old(connection: Connection, now: float) -> Forgotten:
    """Drops what is older than its time at `now`."""
    taken = tables.inbox.c.taken_at < now - TAKEN_S
    return Forgotten(
        findings=_findings(connection, now),
        sent=drop_sent(connection, now - SENT_S),
        taken=_drop(connection, tables.inbox, taken),
    )


def drop_sent(connection: Connection, before: float) -> int:
    """Drops messages that were told before that time; returns how many."""
    o = tables.outbox.c
    return _drop(connection, tables.outbox, (o.state == "sent") & (o.ended_at < before))


def dead_letters_since(connection: Connection, number: int) -> Since:
    """The refused records that were kept after the one of that number."""
    last, rows, size = connection.execute(_SINCE, {"number": number}).one()
    return Since(number if last is None else last, rows, int(size))


def drop_dead_letters(connection: Connection, most: Most) -> Dropped:
    """Drops refused records beyond `most`: first those that were sent once more, then the oldest.

    Those that are waited for are counted from the newest, then those sent once more fill up what
    is left.
    """
    waits = _d.replayed_at.is_(None)
    seq = first_beyond(connection, _d.id, _size(), waits, most)
    lost = 0 if seq is None else _drop(connection, tables.dead_letters, waits & (_d.id <= seq))
    kept = select(func.count(), func.coalesce(func.sum(_size()), 0)).where(waits)
    rows, size = connection.execute(kept).one()
    rest = Most(max(most.rows - rows, 0), max(most.bytes - int(size), 0))
    seq = first_beyond(connection, _d.id, _size(), ~waits, rest)
    replayed = 0 if seq is None else _drop(connection, tables.dead_letters, ~waits & (_d.id <= seq))
    return Dropped(replayed, lost)


def first_beyond(
    connection: Connection,
    number: sa.ColumnElement[int],
    size: sa.ColumnElement[int],
    among: sa.ColumnElement[bool],
    most: Most,
) -> int | None:
    """The number of the newest row that is too many or too large, all older ones being so too."""
    newest_first = number.desc()
    place = func.row_number().over(order_by=newest_first).label("place")
    carried = func.sum(func.coalesce(size, 0)).over(order_by=newest_first).label("carried")
    each = select(number.label("number"), place, carried).where(among).subquery().c
    beyond = (each.place > most.rows) | (each.carried > most.bytes)
    return connection.execute(select(func.max(each.number)).where(beyond)).scalar()


def _size() -> sa.ColumnElement[int]:
    """The bytes a refused record carries."""
    parts = (_d.key, _d.value, _d.headers)
    return sum((func.coalesce(func.length(each), 0) for each in parts), sa.literal(0))


# What a sender asks every second, made once: to make a statement costs more than to run it.
_SINCE = select(func.max(_d.id), func.count(), func.coalesce(func.sum(_size()), 0)).where(
    _d.id > sa.bindparam("number")
)


def _findings(connection: Connection, now: float) -> int:
    """Findings bear the time of the events: they are old beside the newest of their model, so
    that a model whose past is read today keeps them just as long."""
    f = tables.findings.c
    newest = select(f.model, func.max(f.at)).group_by(f.model)
    return sum(
        _drop(connection, tables.findings, (f.model == model) & (f.at < min(at, now) - FINDINGS_S))
        for model, at in connection.execute(newest).all()
    )


def _drop(connection: Connection, table: sa.Table, old: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.delete(table).where(old)).rowcount
