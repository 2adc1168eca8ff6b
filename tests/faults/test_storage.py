"""A full disk, damaged states and a migration that was cut off: it starts, says so and goes on."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults.killing import Kills, Round, sqlite
from tests.faults.registry import Registry
from tests.faults.size import size
from tests.faults.zygote import Wish, Zygote
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store

SLOTS = 24
RECORDED = 40  # by then there are an open incident and an action
MIGRATIONS = size(8, 100)


@contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The file of the database."""
    with closing(sqlite3.connect(folder / "watchkeeper.db")) as connection:
        yield connection


def whole(folder: Path) -> bool:
    """Whether SQLite finds nothing wrong with its file."""
    with opened(folder) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))


@pytest.mark.slow
@pytest.mark.timeout(size(120, 1_200))
def test_a_full_disk_costs_nothing(tmp_path: Path, models: Registry, zygote: Zygote) -> None:
    kills = Kills(tmp_path, models, zygote, sqlite, seed=21)
    folder = tmp_path / "full"
    full = Round(folder, sqlite(folder), models, zygote, "full disk")

    left = full.undisturbed()

    assert not left.differences(kills.reference), left.differences(kills.reference)
    assert (folder / "notes").read_text().split().count("full") >= 3
    assert whole(folder)


def torn(blob: bytes) -> bytes:
    """The first half."""
    return blob[: len(blob) // 2]


def flipped(blob: bytes) -> bytes:
    """One bit is another one."""
    at = len(blob) * 2 // 3
    return blob[:at] + bytes([blob[at] ^ 4]) + blob[at + 1 :]


def newer(blob: bytes) -> bytes:
    """As a later program might write it: two bytes in, there stands the layout."""
    return blob[:2] + b"\xff\x7f" + blob[4:]


def nothing(blob: bytes) -> bytes:
    """A file system may leave as much of a file."""
    return b""


def damaged(folder: Path, table: str, column: str, damage: Callable[[bytes], bytes]) -> int:
    """Damages each row of the table; how many those are."""
    with opened(folder) as connection:
        found = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
        for number, blob in found:
            changed = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
            connection.execute(changed, (damage(blob), number))
        connection.commit()
    return len(found)


@pytest.mark.timeout(size(120, 1_200))
@pytest.mark.parametrize(
    ("damage", "table"),
    [
        *((damage, "states") for damage in (torn, flipped, newer, nothing)),
        (flipped, "states_lasting"),
        (newer, "states_references"),
    ],
)
def test_a_state_that_cannot_be_read_is_set_aside(
    tmp_path: Path, models: Registry, zygote: Zygote, damage: Callable[[bytes], bytes], table: str
) -> None:
    folder = tmp_path / "damaged"
    round_ = Round(folder, sqlite(folder), models, zygote, slots=SLOTS)
    before = round_.undisturbed()
    assert damaged(folder, table, "blob", damage) == 3
    round_.slots = SLOTS + 10

    after = round_.finished()
    again = round_.finished()

    store = Store(round_.database)
    aside = [each.model for each in store.records.set_aside()]
    told = [f.series.model for f in store.records.findings() if f.detector == "state"]
    store.close()
    assert sorted(aside) == ["alpha", "beta", "gamma"]
    assert sorted(told) == ["alpha", "beta", "gamma"]
    assert before.findings.keys() <= after.findings.keys()
    assert max(after.findings.values(), default=1) == 1
    assert set(after.states) == {"alpha", "beta", "gamma"}
    assert after.offsets != before.offsets
    assert not again.differences(after)


@pytest.mark.timeout(size(120, 1_200))
@pytest.mark.parametrize("damage", [torn, flipped, newer, nothing])
def test_of_a_record_that_cannot_be_read_is_told_once(
    tmp_path: Path, models: Registry, zygote: Zygote, damage: Callable[[bytes], bytes]
) -> None:
    folder = tmp_path / "damaged"
    round_ = Round(folder, sqlite(folder), models, zygote, slots=RECORDED)
    before = round_.undisturbed()
    columns = [("incidents", "body"), ("actions", "body"), ("profiles", "blob"), ("kept", "blob")]
    assert all([damaged(folder, *each, damage) for each in columns]), "there is nothing to damage"
    round_.slots = RECORDED + 10

    after = round_.finished()
    again = round_.finished()

    store = Store(round_.database)
    told = {f.series.target for f in store.records.findings() if f.detector == "state"}
    store.close()
    assert told == {"incident", "action", "reference", "kept events"}
    assert max(after.findings.values()) == 1
    assert set(after.states) == {"alpha", "beta", "gamma"}
    assert after.offsets != before.offsets
    assert not again.differences(after)


@pytest.mark.timeout(size(120, 1_200))
def test_a_migration_that_is_killed_is_finished_by_the_next_start(
    tmp_path: Path, models: Registry, zygote: Zygote
) -> None:
    chance, cut = random.Random(22), 0
    for n in range(MIGRATIONS):
        folder = tmp_path / f"half-{n}"
        round_ = Round(folder, sqlite(folder), models, zygote, slots=2)
        folder.mkdir()
        life = round_.life(1, early=True)
        ended = zygote.fulfil(Wish(life=life, kill_after=chance.uniform(0.0, 0.06)))
        assert not ended.done
        url = round_.database
        cut += not Path(url.removeprefix("sqlite:///")).exists() or not at_head(url)

        left = round_.finished()

        assert left.offsets
        assert at_head(url)
        assert whole(folder)
    assert cut >= 1, "hardly a migration was under way"


def at_head(url: str) -> bool:
    """Whether the database has the newest layout."""
    return migrate.current(url) == migrate.head()
