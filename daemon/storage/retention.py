"""How long rows are kept that nobody needs any more. States that were set aside are never dropped,
nor are incidents, actions, the audit, messages that wait or were refused, and commands without an
answer."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import tables

_DAY_S = 86_400.0
FINDINGS_S = 90 * _DAY_S
SENT_S = 7 * _DAY_S
TAKEN_S = 30 * _DAY_S


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
