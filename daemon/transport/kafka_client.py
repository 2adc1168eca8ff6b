"""Makes kafka-python's clients without leaving anything behind when they cannot connect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from watchkeeper.daemon.transport.settings import KafkaSettings, connection

# The library's own 30 seconds would outlast most restarts of a broker.
_MOST_BACKOFF_MS = 2_000


def connected(make: Callable[..., Any], settings: KafkaSettings, **config: Any) -> Any:
    """The client that `make` gives; raises what it raises.

    A client that cannot connect raises from its constructor and forgets its thread and sockets;
    in an outage every try would leak one thread and four files. So they are closed here.
    """
    from kafka.net.compat import KafkaNetClient

    opened: list[Any] = []

    def opening(**inner: Any) -> Any:
        opened.append(KafkaNetClient(**inner))
        return opened[-1]

    try:
        return make(
            **connection(settings),
            reconnect_backoff_max_ms=_MOST_BACKOFF_MS,
            kafka_client=opening,
            **config,
        )
    except BaseException:
        for client in opened:
            client.close()
        raise
