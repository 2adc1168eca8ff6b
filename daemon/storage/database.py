"""One engine with the settings that make a commit mean what it says, on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

_BUSY_MS = 10_000
_ASK_AGAIN_S = 0.01
_LOCK_TIMEOUT_S = 10
# A process that stands still within a transaction keeps what it has locked for no longer.
_IDLE_S = 15
_MANY = 100  # rows from which on it is worth to go round what SQLAlchemy does for each
_STATEMENTS = 64  # kinds of them that are kept, as to make one costs more than to run it
_PAGE = 16_384  # bytes, in a new file of SQLite: half the cost of larger values, see decision 6
_NAMES = 500  # in one statement: SQLite takes at most 999, of old
# A server that falls silent in the middle of a call is given up within 15 s, not within minutes.
_NOTICING = {
    "tcp_user_timeout": 15_000,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
_PUT_OUT = "25P03"  # what PostgreSQL says to a session that stood still within a transaction

Row = Mapping[str, Any]
T = TypeVar("T")


class StorageError(Exception):
    """The database cannot be used as asked; the message says what to do."""


class DatabaseDown(StorageError):
    """The database did not answer, or not in time; the same call may succeed later."""


class Database:
    """Opens transactions. Reads see one moment; writes are exclusive from their start on SQLite."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._reader = self.engine.execution_options(reading=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only looks. Raises DatabaseDown."""
        with _outages(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it is on disk once the block has ended, or nothing.

        Raises DatabaseDown.
        """
        with _outages(), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Frees every connection. Idempotent."""
        self.engine.dispose()


@contextmanager
def _outages() -> Iterator[None]:
    """Tells an outage, which passes, from a mistake, which does not."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        if "no such table" in reason or getattr(error.orig, "sqlstate", "") == "42P01":
            raise StorageError(f"{reason}: run `watchkeeper db upgrade`") from error
        passing = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
        if passing or getattr(error.orig, "sqlstate", "") == _PUT_OUT:
            raise DatabaseDown(reason) from error
        raise
    except sa.exc.TimeoutError as error:
        raise DatabaseDown(str(error)) from error


def make_engine(url: str) -> Engine:
    """An engine for a SQLAlchemy URL of SQLite or PostgreSQL (`postgresql+psycopg://...`)."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise StorageError(f"not a database URL: {error}") from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        options = (
            f"-c lock_timeout={_LOCK_TIMEOUT_S}s -c statement_timeout=60s"
            f" -c idle_in_transaction_session_timeout={_IDLE_S}s"
        )
        arguments = {"connect_timeout": 10, "options": options, **_NOTICING}
        return sa.create_engine(
            parsed, connect_args=arguments, pool_pre_ping=True, pool_size=5, pool_timeout=30
        )
    if backend != "sqlite":
        raise StorageError(f"{backend!r} is not supported: use sqlite:/// or postgresql://")
    if parsed.database in (None, "", ":memory:"):
        raise StorageError("an in-memory database would forget everything: name a file")
    engine = sa.create_engine(parsed, connect_args={"timeout": _BUSY_MS / 1000}, pool_timeout=30)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _drop_read_only)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None  # we say BEGIN ourselves
    connection.execute(f"PRAGMA page_size={_PAGE}").close()  # as long as there is no table
    _log_ahead(connection)
    for pragma in (
        "synchronous=FULL",
        f"busy_timeout={_BUSY_MS}",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _log_ahead(connection: Any) -> None:
    """Turns write-ahead logging on. While another process does the same to a new file, SQLite
    answers "locked" at once, whatever its time-out (two would wait for each other): ask again."""
    deadline = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            locked = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not locked or time.monotonic() > deadline:
                raise
            threading.Event().wait(_ASK_AGAIN_S)


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    # IMMEDIATE: a transaction that read first could not become a writer after another's commit.
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _drop_read_only(context: sa.ExceptionContext) -> None:
    """A connection that was opened while nothing could be written to the disk stays read-only for
    good: it is not to be lent again."""
    code = getattr(context.original_exception, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        context.is_disconnect = True


def parts(names: Sequence[T], most: int = _NAMES) -> Iterator[Sequence[T]]:
    """The names, as many at once as one statement may hold everywhere."""
    return (names[first : first + most] for first in range(0, len(names), most))


def clock(connection: Connection) -> sa.ColumnElement[float]:
    """The database's own clock, in seconds since the epoch: the same for all instances."""
    if connection.dialect.name == "sqlite":
        return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Double)
    return sa.literal_column("extract(epoch from clock_timestamp())::double precision", sa.Double)


def _insert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@lru_cache(_STATEMENTS)
def _insertion(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


@lru_cache(_STATEMENTS)
def _replacement(
    dialect: str, table: sa.Table, names: tuple[str, ...]
) -> sqlite.Insert | postgresql.Insert:
    statement = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


def insert_new(connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Inserts the rows whose keys are not there yet; the others stay as they are."""
    if rows:
        statement = _insertion(connection.dialect.name, table)
        connection.execute(statement, [dict(row) for row in rows])


def put(connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Inserts or replaces by primary key."""
    if not rows:
        return
    upsert = _replacement(connection.dialect.name, table, tuple(rows[0]))
    if len(rows) < _MANY or connection.dialect.paramstyle != "qmark":
        connection.execute(upsert, [dict(row) for row in rows])
        return
    names = [column.name for column in table.columns if column.name in rows[0]]
    columns = [_stored(connection, table.c[name], rows) for name in names]
    made = upsert.values({name: sa.bindparam(name) for name in names})
    text = str(made.compile(dialect=connection.dialect))
    connection.exec_driver_sql(text, list(zip(*columns, strict=True)))


def _stored(connection: Connection, column: sa.Column[Any], rows: Sequence[Row]) -> list[Any]:
    """A column of the rows as the driver takes it."""
    values = [row[column.name] for row in rows]
    if isinstance(column.type, sa.LargeBinary):
        return values  # bytes, which the driver takes as they are
    process = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return values if process is None else list(map(process, values))
