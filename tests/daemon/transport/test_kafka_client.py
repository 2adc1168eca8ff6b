from __future__ import annotations

import gc
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import kafka
import pytest
from kafka.errors import KafkaTimeoutError

from tests.services.brokers import Broker
from watchkeeper.daemon.transport import kafka_client
from watchkeeper.daemon.transport.kafka_client import connected
from watchkeeper.daemon.transport.settings import KafkaSettings, connection

FAST = {"bootstrap_timeout_ms": 200}


def in_use() -> tuple[int, int]:
    """Threads and open files. A file that only the collector closes warns, which is an error."""
    gc.collect()
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that are given up soon."""
    monkeypatch.setattr(kafka_client, "connection", lambda settings: connection(settings) | FAST)


@pytest.fixture
def babbler() -> Iterator[str]:
    """The address of one who accepts connections, and speaks no TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            with suppress(OSError):
                while True:
                    with server.accept()[0] as made:
                        made.sendall(b"this is no TLS at all\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("make", [kafka.KafkaConsumer, kafka.KafkaProducer, kafka.KafkaAdminClient])
def test_a_failed_connection_leaves_no_thread_and_no_file_open(make: Any) -> None:
    before = in_use()

    with pytest.raises(KafkaTimeoutError):
        connected(make, KafkaSettings(bootstrap_servers=["127.0.0.1:9"]))

    assert in_use() == before


@pytest.mark.usefixtures("impatient")
def test_a_failed_handshake_leaves_no_file_open(babbler: str) -> None:
    before = in_use()

    with pytest.raises(KafkaTimeoutError):
        connected(
            kafka.KafkaConsumer,
            KafkaSettings(bootstrap_servers=[babbler], security_protocol="SSL"),
        )

    assert in_use() == before


@pytest.mark.service
def test_a_broker_that_goes_away_leaves_no_file_open_at_any_try(durable_kafka: Broker) -> None:
    before = in_use()
    settings = KafkaSettings(bootstrap_servers=[durable_kafka.bootstrap])
    with closing(connected(kafka.KafkaConsumer, settings)) as consumer:
        durable_kafka.kill()
        for _ in range(5):
            with pytest.raises(KafkaTimeoutError):
                consumer.end_offsets([kafka.TopicPartition("t", 0)], timeout_ms=300)

    assert in_use() == before
