from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Iterator

import pytest

from tests.conftest import running
from tests.services.fallback_broker import FallbackBroker


@pytest.fixture
def refused_connections(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """For tests that meet a closed port: kafka-python leaves such sockets to the collector.

    They are collected here, so that their warnings fall into no other test. Its log records would
    hold on to them.
    """
    with caplog.at_level(logging.CRITICAL + 1, "kafka"):
        yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def credulous_broker() -> Iterator[FallbackBroker]:
    """A broker that stores what it is given; Apache Kafka refuses most broken batches itself."""
    with running(FallbackBroker) as broker:
        yield broker
