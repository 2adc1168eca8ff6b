from __future__ import annotations

import gc
import os
import threading
import warnings
from typing import Any

import kafka
import pytest
from kafka.errors import KafkaTimeoutError

from watchkeeper.daemon.transport.kafka_client import connected
from watchkeeper.daemon.transport.settings import KafkaSettings


def in_use() -> tuple[int, int]:
    """Threads and open files, without the refused sockets that wait for the collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


@pytest.mark.usefixtures("refused_connections")
@pytest.mark.parametrize("make", [kafka.KafkaConsumer, kafka.KafkaProducer, kafka.KafkaAdminClient])
def test_a_failed_connection_leaves_no_thread_and_no_file_open(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "watchkeeper.daemon.transport.kafka_client.connection",
        lambda settings: {
            "bootstrap_servers": settings.bootstrap_servers,
            "bootstrap_timeout_ms": 200,
        },
    )
    before = in_use()

    with pytest.raises(KafkaTimeoutError):
        connected(make, KafkaSettings(bootstrap_servers=["127.0.0.1:9"]))

    assert in_use() == before
