"""A database of each kind for every test of the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.storage.receivers import Clock
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path}/watchkeeper.db"


@pytest.fixture
def url(empty_url: str) -> str:
    """The URL of a database with the newest layout."""
    migrate.upgrade(empty_url)
    return empty_url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands until it is set."""
    return Clock()
