"""`watchkeeper db`, and commands when there is no database."""

from __future__ import annotations

import json
import sqlite3

import pytest

from tests.daemon.cli.conftest import Host


def test_upgrade_makes_the_tables_and_current_says_so(bare: Host) -> None:
    before = bare.run("db", "current")
    upgraded = bare.run("db", "upgrade")
    after = bare.run("db", "current", "-o", "json")

    assert (before.exit_code, "db upgrade" in before.stderr) == (1, True)
    assert upgraded.exit_code == 0
    shown = json.loads(after.stdout)
    assert (after.exit_code, shown["layout"]) == (0, shown["newest"])


def test_upgrade_makes_the_folder_for_nobody_else(bare: Host) -> None:
    bare.write()
    url = f"sqlite:///{bare.folder}/state/deep/w.db"

    ended = bare.run("db", "upgrade", environment={"WATCHKEEPER_DATABASE__URL": url})

    assert ended.exit_code == 0
    assert (bare.folder / "state" / "deep").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "words", [("incident", "list"), ("status",), ("model", "list"), ("dlq", "list")]
)
def test_without_a_database_commands_end_with_69_and_say_what_makes_one(
    bare: Host, words: tuple[str, ...]
) -> None:
    ended = bare.run(*words)

    assert ended.exit_code == 69
    assert "`watchkeeper db upgrade`" in ended.stderr
    assert not (bare.folder / "watchkeeper.db").exists()


def test_a_database_without_tables_ends_with_69_and_one_line_of_reason(bare: Host) -> None:
    sqlite3.connect(bare.folder / "watchkeeper.db").close()

    ended = bare.run("incident", "list")

    assert ended.exit_code == 69
    assert "no such table" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_database_that_does_not_answer_ends_with_69_without_its_password(bare: Host) -> None:
    environment = {"WATCHKEEPER_DATABASE__URL": "postgresql+psycopg://u:hunter2@127.0.0.1:1/w"}

    ended = bare.run("incident", "list", environment=environment)
    upgraded = bare.run("db", "upgrade", environment=environment)

    assert (ended.exit_code, upgraded.exit_code) == (69, 69)
    assert "hunter2" not in ended.output + upgraded.output
    assert "u:***@127.0.0.1:1" in ended.stderr
