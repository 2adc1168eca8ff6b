"""What tests ask of a store: to own partitions, and every row that is in it."""

from __future__ import annotations

import sqlalchemy as sa

from tests.daemon.storage.examples import T0
from watchkeeper.daemon.storage import tables
from watchkeeper.daemon.storage.database import Database
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.transport.ports import Partition


def own(store: Store, *partitions: Partition) -> int:
    return store.restore(partitions, T0).epochs[partitions[0]]


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the database."""
    database = Database(url)
    with database.read() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(sa.select(table))]
            for table in tables.metadata.sorted_tables
        }
    database.close()
    return found
