"""What is missing at the start is told in one sentence, and a database is waited for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.base import free_ports
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.sections import Daemon, Database
from watchkeeper.daemon.starting import CannotStart, make_ready
from watchkeeper.daemon.storage import migrate


def config(folder: Path, url: str) -> Config:
    return Config(daemon=Daemon(state_dir=str(folder)), database=Database(url=url))


def test_the_folder_and_the_layout_are_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state/w.db"

    make_ready(config(tmp_path / "state", url))

    assert migrate.current(url) == migrate.head()


def test_a_database_that_is_away_is_waited_for_and_then_given_up(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="needs the extra `postgres`")
    waited: list[float] = []
    url = f"postgresql+psycopg://u:hunter2@127.0.0.1:{free_ports(1)[0]}/w"

    with pytest.raises(CannotStart) as error:
        make_ready(config(tmp_path, url), 4.0, waited.append)

    assert waited == [1.0, 2.0]
    assert error.value.code == 69
    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


def test_the_pauses_grow_up_to_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def away(url: str) -> str:
        if len(waited) < 6:
            raise OSError("connection refused")
        return "r"

    monkeypatch.setattr(migrate, "upgrade", away)

    make_ready(config(tmp_path, "postgresql://db/w"), wait=waited.append)

    assert waited == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
