"""Which broker answers: Apache Kafka where it can run, else the fallback."""

from __future__ import annotations

from tests.services.base import Missing, may_download
from tests.services.fallback_broker import FallbackBroker
from tests.services.kafka import Kafka, version

Broker = Kafka | FallbackBroker


def choose() -> Broker:
    """Return a broker that is not started yet."""
    try:
        return Kafka()
    except Missing:
        return FallbackBroker()


def chosen() -> str:
    """Say which broker the tests will get, and why not the better one."""
    try:
        return f"Apache Kafka {version(may_download())}"
    except Missing as reason:
        return f"noida-db instead of Apache Kafka ({reason})"
