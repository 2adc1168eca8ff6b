"""How connections to a server are made."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.services.base import wait_until
from watchkeeper.daemon.storage import database
from watchkeeper.daemon.storage.database import Database, DatabaseDown


@pytest.mark.service
def test_a_server_that_falls_silent_is_given_up_soon(postgres_url: str) -> None:
    tcp = socket.IPPROTO_TCP
    with closing(Database(postgres_url)) as opened, opened.read() as connection:
        number = connection.connection.driver_connection.fileno()  # type: ignore[union-attr]
        with socket.socket(fileno=os.dup(number)) as wire:
            unanswered = wire.getsockopt(tcp, socket.TCP_USER_TIMEOUT) / 1_000
            asked = wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle = wire.getsockopt(tcp, socket.TCP_KEEPIDLE)
            every = wire.getsockopt(tcp, socket.TCP_KEEPINTVL)
            times = wire.getsockopt(tcp, socket.TCP_KEEPCNT)

    assert asked
    assert unanswered <= 15.0
    assert idle + every * times <= 15.0


@pytest.mark.service
def test_who_stands_still_within_a_transaction_blocks_the_others_no_longer_than_a_bound(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_IDLE_S", 1)
    monkeypatch.setattr(database, "_LOCK_TIMEOUT_S", 1)
    raised = text("UPDATE owners SET epoch = epoch + 1")
    with closing(Database(postgres_url)) as frozen, closing(Database(postgres_url)) as other:
        with other.write() as connection:
            connection.execute(text("CREATE TABLE owners AS SELECT 1 AS epoch"))

        def taken_over() -> bool:
            try:
                with other.write() as connection:
                    connection.execute(raised)
            except DatabaseDown:
                return False
            return True

        def stand_still() -> None:
            with frozen.write() as connection:
                connection.execute(raised)
                wait_until(taken_over, 30.0, "the other one to get through")
                connection.execute(raised)

        with pytest.raises(DatabaseDown, match="idle-in-transaction timeout"):
            stand_still()

        with frozen.write() as connection:
            assert connection.execute(text("SELECT epoch FROM owners")).scalar() == 2


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    many, rounds = 4, 30
    context = multiprocessing.get_context("spawn")
    together, said = context.Barrier(many), context.Queue()
    given = (str(tmp_path), rounds, together, said)
    openers = [context.Process(target=_open_and_write, args=given) for _ in range(many)]
    for each in openers:
        each.start()
    found = [said.get(timeout=60) for _ in range(many)]
    for each in openers:
        each.join(60)

    assert found == [["wal"] * rounds] * many


def _open_and_write(folder: str, rounds: int, together: Any, said: Any) -> None:
    """What is said of each file by one of the processes that open it at once."""
    modes = []
    for number in range(rounds):
        together.wait(30)
        with closing(Database(f"sqlite:///{folder}/{number}.db")) as mine:
            try:
                with mine.write() as connection:
                    modes.append(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
                    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS owners (epoch)")
            except DatabaseDown as error:
                modes.append(str(error))
    said.put(modes)


def test_a_new_file_has_large_pages_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.execute("PRAGMA page_size=4096")
        old.execute("CREATE TABLE t (a INTEGER)")
    old.close()

    found = []
    for name in ("new.db", "old.db"):
        opened = Database(f"sqlite:///{tmp_path}/{name}")
        with opened.write() as connection:
            connection.execute(text("CREATE TABLE more (a INTEGER)"))
            found.append(connection.execute(text("PRAGMA page_size")).scalar())
        opened.close()

    assert found == [16_384, 4_096]


def test_a_connection_made_while_nothing_could_be_written_is_not_lent_again(
    tmp_path: Path,
) -> None:
    file, writable = tmp_path / "w.db", True

    def connect(*_: object) -> sqlite3.Connection | None:
        # What SQLite makes of a file on a disk that is read-only for the moment.
        return None if writable else sqlite3.connect(f"file:{file}?mode=ro", uri=True)

    with closing(Database(f"sqlite:///{file}")) as opened:
        event.listen(opened.engine, "do_connect", connect)
        with opened.write() as connection:
            connection.exec_driver_sql("CREATE TABLE n (i INTEGER)")
        opened.engine.dispose()
        writable = False
        with pytest.raises(DatabaseDown, match="readonly"), opened.write() as connection:
            connection.exec_driver_sql("INSERT INTO n VALUES (1)")
        writable = True

        with opened.write() as connection:
            connection.exec_driver_sql("INSERT INTO n VALUES (2)")

        with opened.read() as connection:
            assert connection.exec_driver_sql("SELECT i FROM n").scalars().all() == [2]


class Counting(sqlite3.Connection):
    """Counts how often it was asked to log ahead."""

    asked = 0

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        Counting.asked += "journal_mode" in sql
        return super().execute(sql, *given)


def test_a_new_file_on_a_disk_that_cannot_be_written_is_not_asked_for_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_MS", 300)
    file = tmp_path / "w.db"
    with closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE n (i INTEGER)")

    def connect(*_: object) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{file}?mode=ro", uri=True, factory=Counting)

    with closing(Database(f"sqlite:///{file}")) as opened:
        event.listen(opened.engine, "do_connect", connect)

        with pytest.raises(DatabaseDown, match="readonly"), opened.read():
            pass

    assert Counting.asked == 1
