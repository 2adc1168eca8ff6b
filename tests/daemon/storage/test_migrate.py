"""Migrations make exactly the tables the store uses, and take them away again."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from tests.daemon.storage.examples import P0, T0, finding
from watchkeeper.daemon.storage import migrate, rows
from watchkeeper.daemon.storage.database import Database
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.tables import metadata


def test_an_empty_database_has_no_revision(empty_url: str) -> None:
    assert migrate.current(empty_url) is None


def test_upgrading_gives_the_tables_that_the_store_knows(empty_url: str) -> None:
    reached = migrate.upgrade(empty_url)

    database = Database(empty_url)
    with database.read() as connection:
        options = {"compare_type": True}
        differences = compare_metadata(
            MigrationContext.configure(connection, opts=options), metadata
        )
    database.close()
    assert differences == []
    assert reached == migrate.head() == migrate.current(empty_url)


def test_upgrading_twice_changes_nothing(empty_url: str) -> None:
    migrate.upgrade(empty_url)

    assert migrate.upgrade(empty_url) == migrate.head()


def test_findings_of_an_older_layout_have_no_statement(empty_url: str) -> None:
    migrate.upgrade(empty_url, "r0006")
    old = {name: value for name, value in rows.finding(finding()).items() if name != "statement"}
    database = Database(empty_url)
    with database.write() as connection:
        names = ", ".join(old)
        values = ", ".join(f":{name}" for name in old)
        connection.execute(text(f"INSERT INTO findings ({names}) VALUES ({values})"), old)
    database.close()

    migrate.upgrade(empty_url)

    store = Store(empty_url)
    assert repr(store.records.findings()) == repr([finding()])
    store.close()


def test_offsets_of_an_older_layout_are_of_any_topic(empty_url: str) -> None:
    migrate.upgrade(empty_url, "r0007")
    database = Database(empty_url)
    with database.write() as connection:
        connection.execute(text("INSERT INTO offsets VALUES ('predictions', 0, 10, 1)"))
    database.close()

    migrate.upgrade(empty_url)

    store = Store(empty_url)
    back = store.restore([P0], T0)
    store.close()
    assert (back.offsets, back.topics) == ({P0: 10}, {})


def test_downgrading_leaves_no_table_behind(empty_url: str) -> None:
    migrate.upgrade(empty_url)

    migrate.downgrade(empty_url, "base")

    database = Database(empty_url)
    with database.read() as connection:
        left = set(inspect(connection).get_table_names())
    database.close()
    assert left <= {"alembic_version"}
    assert migrate.current(empty_url) is None
