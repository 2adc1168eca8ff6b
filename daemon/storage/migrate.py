"""Brings a database to the newest layout, and says which one it has."""

from __future__ import annotations

from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage.database import Database

_LOCK = 7_712_042_001  # any number that is ours: only one process migrates at a time


def config(connection: Connection | None = None) -> Config:
    """Alembic's settings, without a file; the scripts are found in checkout and wheel alike."""
    settings = Config()
    settings.set_main_option("script_location", "watchkeeper:migrations")
    settings.set_main_option("path_separator", "os")
    attributes: dict[str, Any] = settings.attributes
    attributes["connection"] = connection
    return settings


def upgrade(url: str, revision: str = "head") -> str:
    """Migrates up to `revision` in one transaction and returns the revision reached."""
    return _move(url, revision, command.upgrade)


def downgrade(url: str, revision: str) -> str:
    """Migrates down to `revision` ("base": no tables left), losing what newer layouts added."""
    return _move(url, revision, command.downgrade)


def current(url: str) -> str | None:
    """The revision the database has; None for an empty one."""
    database = Database(url)
    try:
        with database.read() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        database.close()


def head() -> str:
    """The newest revision this program knows."""
    newest = ScriptDirectory.from_config(config()).get_current_head()
    assert newest is not None  # the scripts come with the package
    return newest


def _move(url: str, revision: str, way: Any) -> str:
    database = Database(url)
    try:
        with database.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("select pg_advisory_xact_lock(:n)"), {"n": _LOCK})
            way(config(connection), revision)
            return MigrationContext.configure(connection).get_current_revision() or "base"
    finally:
        database.close()
