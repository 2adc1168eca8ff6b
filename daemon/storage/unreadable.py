"""Rows of the record that cannot be read: left out, or put away so that it is told once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy import RowMapping
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import rows, snapshots, tables
from watchkeeper.daemon.storage.database import insert_new
from watchkeeper.daemon.storage.snapshots import SnapshotError
from watchkeeper.daemon.storage.values import SetAside

log = structlog.get_logger()

T = TypeVar("T")
Unread = Callable[[RowMapping, SnapshotError], object]

# What a row of each table is, by its primary key, and the column that holds all of it.
_HELD = {
    tables.incidents.name: ("incident", "id", "body"),
    tables.actions.name: ("action", "id", "body"),
    tables.profiles.name: ("reference", "version", "blob"),
}


class Unreadable(NamedTuple):
    """A row of a table, with its primary key, its model and its blob, and why it cannot be read."""

    table: sa.Table
    row: RowMapping
    reason: str

    @property
    def part(self) -> str:
        """What it is of its model."""
        return _HELD[self.table.name][0]

    @property
    def name(self) -> str:
        """What it is called among those of its model."""
        name: str = self.row[_HELD[self.table.name][1]]
        return name

    @property
    def blob(self) -> bytes:
        """What cannot be read."""
        blob: bytes = self.row[_HELD[self.table.name][2]]
        return blob


def readable(
    found: Iterable[RowMapping], value: Callable[[RowMapping], T], unread: Unread
) -> list[T]:
    """The values of the rows; `unread` is told of those that cannot be read."""
    values = []
    for row in found:
        try:
            values.append(value(row))
        except SnapshotError as error:
            unread(row, error)
    return values


def noted(row: RowMapping, column: str, kind: type[T]) -> T:
    """What a column holds that nothing hangs on; where it cannot be read, an empty one, and the log
    says so: the rest of the row counts on."""
    try:
        return snapshots.decode_as(row[column], kind)
    except SnapshotError as error:
        log.error("a part of a row cannot be read, and counts as empty",
                  part=column, **_names(row), reason=str(error))  # fmt: skip
        return kind()


def left_out(row: RowMapping, error: SnapshotError) -> None:
    """What only looks leaves the row where it is, and the log says so."""
    log.error("a row cannot be read, and is left out", **_names(row), reason=str(error))


def _names(row: RowMapping) -> dict[str, object]:
    return {name: row[name] for name in ("model", "id", "version") if name in row}


def unread_of(table: sa.Table, found: list[Unreadable]) -> Unread:
    """Adds what cannot be read of the table to what was found."""
    return lambda row, error: found.append(Unreadable(table, row, str(error)))


def put_away(connection: Connection, found: Sequence[Unreadable], at: float) -> list[SetAside]:
    """Moves the rows to the states that were set aside, so that the rest goes on without them. One
    finding tells of all that are alike of a model."""
    alike: dict[tuple[str, str], list[Unreadable]] = {}
    for each in found:
        model: str = each.row["model"]
        alike.setdefault((model, each.part), []).append(each)
        reason = f"{each.part} {each.name}: {each.reason}"
        kept = {"model": model, "reason": reason, "blob": each.blob, "at": at}
        connection.execute(sa.insert(tables.states_set_aside), [kept])
        key = [column == each.row[column.name] for column in each.table.primary_key]
        connection.execute(sa.delete(each.table).where(*key))
    told = []
    for (model, part), some in alike.items():
        more = f", and {len(some) - 1} more" if len(some) > 1 else ""
        told.append(SetAside(model, f"{some[0].name}: {some[0].reason}{more}", at, part))
    insert_new(connection, tables.findings, [rows.finding(each.finding) for each in told])
    return told
