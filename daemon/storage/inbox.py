"""Commands that people left for the daemon, and its answers."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import RowMapping, select, update
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import snapshots, tables
from watchkeeper.daemon.storage.database import Database, insert_new
from watchkeeper.daemon.storage.unreadable import left_out, readable
from watchkeeper.detectors.types import Command

_t = tables.inbox.c


class Inbox:
    """The command line writes, the loop takes."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, command: Command, at: float) -> None:
        """Leaves a command; one with the same id is left only once."""
        row = {"id": command.id, "body": snapshots.encode(command), "created_at": at}
        with self._db.write() as connection:
            insert_new(connection, tables.inbox, [row])

    def waiting(self, limit: int = 100) -> list[Command]:
        """Commands without an answer, oldest first. One that cannot be read is answered so."""
        wanted = (
            select(_t.id, _t.body, _t.created_at)
            .where(_t.taken_at.is_(None))
            .order_by(_t.created_at, _t.id)
        )
        with self._db.read() as connection:
            found = connection.execute(wanted.limit(limit)).mappings().all()
        refused: dict[str, str] = {}

        def unread(row: RowMapping, error: snapshots.SnapshotError) -> None:
            left_out(row, error)
            refused[row["id"]] = f"refused: {error}"

        commands = readable(found, _command, unread)
        if refused:
            with self._db.write() as connection:
                take(connection, refused, max(row["created_at"] for row in found))
        return commands

    def answer(self, command_id: str) -> str | None:
        """What became of a command; None while nobody has taken it."""
        with self._db.read() as connection:
            found: str | None = connection.execute(
                select(_t.answer).where(_t.id == command_id)
            ).scalar()
            return found


def _command(row: RowMapping) -> Command:
    return snapshots.decode_as(row["body"], Command)


def take(connection: Connection, answers: Mapping[str, str], at: float) -> None:
    """Marks commands as taken, each with its answer; the first answer stays."""
    for command_id, answer in answers.items():
        here = update(tables.inbox).where(_t.id == command_id, _t.taken_at.is_(None))
        connection.execute(here.values(taken_at=at, answer=answer))
