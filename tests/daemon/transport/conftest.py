from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import running
from tests.services.fallback_broker import FallbackBroker


@pytest.fixture(scope="session")
def credulous_broker() -> Iterator[FallbackBroker]:
    """A broker that stores what it is given; Apache Kafka refuses most broken batches itself."""
    with running(FallbackBroker) as broker:
        yield broker
