"""A database of each kind for every test of the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.storage.receivers import Clock, Receiver
from tests.services.postgres import Postgres
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.outbox import Outbox
from watchkeeper.daemon.storage.store import Store


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database it is."""
    name: str = request.param
    return name


@pytest.fixture
def empty_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if kind == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path}/watchkeeper.db"


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with the newest layout."""
    if kind == "postgresql":
        server, model = request.getfixturevalue("postgres"), request.getfixturevalue("laid_out")
        server.start()
        copy: str = server.fresh_database(model)
        return copy
    migrate.upgrade(f"sqlite:///{tmp_path}/watchkeeper.db")
    return f"sqlite:///{tmp_path}/watchkeeper.db"


@pytest.fixture(scope="session")
def laid_out(postgres: Postgres) -> str:
    """The name of a database with the newest layout, to be copied."""
    postgres.start()
    url = postgres.fresh_database()
    migrate.upgrade(url)
    return url.rpartition("/")[2]


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


@pytest.fixture
def receiver() -> Receiver:
    """The other side, which takes everything."""
    return Receiver()


@pytest.fixture
def outbox(store: Store, receiver: Receiver, clock: Clock) -> Outbox:
    """It tells the receiver; nothing in it is left to chance."""
    return Outbox(store.letters, {"sentry": receiver}, clock=clock, chance=lambda: 1.0)
