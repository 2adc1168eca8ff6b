"""Fixtures that start real components and point at real data; each ends what it starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import pytest
import structlog
from hypothesis import settings

from tests.examples import examples
from tests.patience import PATIENCE, wait_longer
from tests.services.base import Missing, cache_dir, services_required
from tests.services.brokers import Broker, choose, chosen
from tests.services.bugsink import Bugsink, Project
from tests.services.mlflow import Mlflow
from tests.services.postgres import Postgres
from tests.services.process import Service
from tests.services.prometheus import Prometheus
from watchkeeper.daemon.transport.kafka_client import close_what_fails

S = TypeVar("S", bound=Service)

_ROOT = Path(__file__).parent.parent


class StartPrometheus(Protocol):
    """What the fixture `prometheus` yields."""

    def __call__(self, targets: Sequence[str], rules: Sequence[Path] = ()) -> Prometheus:
        """Start one that scrapes `targets` and judges the files `rules`, each second."""


_LOGGED: dict[str, Any] = {}  # how structlog is set up for tests


def pytest_configure() -> None:
    """Have the kernels compiled once for all tests, and for the processes they start; no client of
    a test leave a socket behind that warns in another one; and tracebacks as the daemon writes
    them: with the values of all variables, one of the loop is minutes of work. No example of a
    property has to be quick: a machine that is busy is no fault."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])
    _LOGGED.update(structlog.get_config())
    close_what_fails()
    settings.register_profile("watchkeeper", deadline=None, max_examples=examples(100))
    settings.load_profile("watchkeeper")
    os.environ.setdefault("WATCHKEEPER_FAST_CACHE", str(cache_dir() / "kernels"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever talks to the broker is alone: sessions of groups run out on a busy machine. And all
    are as patient as they are to be."""
    for item in items:
        if isinstance(item, pytest.Function) and "kafka" in item.fixturenames:
            item.add_marker("alone")
    if items and PATIENCE != 1:
        wait_longer(items, float(items[0].config.getini("timeout")))


@pytest.fixture(autouse=True)
def logged_as_usual() -> None:
    """No test logs as one before it set it up."""
    structlog.configure(**_LOGGED)


def pytest_report_header() -> str:
    """Say which broker the tests will talk to."""
    return f"broker: {chosen()}"


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where every component must be there."""
    if services_required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@contextmanager
def running(make: Callable[[], S]) -> Iterator[S]:
    """Run one component to the end of the block; skip or fail when it is missing."""
    try:
        service = make()
    except Missing as reason:
        unavailable(str(reason))
    with service:
        yield service


@pytest.fixture(scope="session")
def _broker() -> Iterator[Broker]:
    with running(choose) as broker:
        yield broker


@pytest.fixture
def kafka(_broker: Broker) -> Broker:
    """A running broker, shared by all tests: use topics and groups of your own.

    A test that stopped or killed it gets it back: the next one finds it running again.
    """
    _broker.start()
    return _broker


@pytest.fixture
def durable_kafka(kafka: Broker) -> Broker:
    """Like `kafka`, for tests that need acknowledged records to outlive kill -9."""
    if not kafka.survives_kill:
        unavailable(f"{kafka.name} loses records on kill -9; Apache Kafka: run `make services`")
    return kafka


@pytest.fixture
def heeding_kafka(kafka: Broker) -> Broker:
    """Like `kafka`, for tests that need fetches to be answered with no more than they ask for, and
    once there is as much as they wait for."""
    if not kafka.heeds_fetches:
        unavailable(f"{kafka.name} heeds no fetch sizes; Apache Kafka: run `make services`")
    return kafka


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL, shared by all tests."""
    with running(Postgres) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The SQLAlchemy URL of an empty database of this test's own."""
    postgres.start()
    return postgres.fresh_database()


@pytest.fixture(scope="session")
def bugsink_server() -> Iterator[Bugsink]:
    """A running Bugsink, shared by all tests."""
    with running(Bugsink) as server:
        yield server


@pytest.fixture
def bugsink(bugsink_server: Bugsink) -> Project:
    """An empty Bugsink project of this test's own: `dsn`, `issues()`, `events()`, `event()`."""
    bugsink_server.start()
    return bugsink_server.project()


@pytest.fixture
def prometheus() -> Iterator[StartPrometheus]:
    """Start a Prometheus that scrapes the given targets: `prometheus(["127.0.0.1:9000"])`."""
    with ExitStack() as started:

        def start(targets: Sequence[str], rules: Sequence[Path] = ()) -> Prometheus:
            return started.enter_context(running(lambda: Prometheus(targets, rules)))

        yield start


@pytest.fixture(scope="session")
def mlflow() -> Iterator[Mlflow]:
    """A running MLflow, shared by all tests: register models under names of your own."""
    with running(Mlflow) as server:
        yield server


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of public data sets that tests of quality measure on."""
    folder = Path(os.environ.get("WATCHKEEPER_DATA") or _ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}: set WATCHKEEPER_DATA")
    return folder.resolve()
