"""What tests of the loop share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.looped import World
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Topics in memory and a database in a file."""
    url = f"sqlite:///{tmp_path}/w.db"
    migrate.upgrade(url)
    store = Store(url)
    yield World(store)
    store.close()
