"""Makes kafka-python's clients without leaving anything behind when they cannot connect."""

from __future__ import annotations

import functools
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
    close_what_fails()
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


def close_what_fails() -> None:
    """Has the library close the socket of a connection that does not come about. Idempotent.

    It leaves it to the collector, and one more at each try for as long as the broker is away.
    """
    from kafka.net.inet import KafkaNetSocket
    from kafka.net.transport import KafkaSSLTransport

    connect, handshake = KafkaNetSocket.sock_connect, KafkaSSLTransport.handshake
    if getattr(connect, "closes", False):
        return

    @functools.wraps(connect)
    async def connecting(self: Any, net: Any, sock: Any, *args: Any, **named: Any) -> Any:
        try:
            return await connect(self, net, sock, *args, **named)
        except BaseException:  # a connection that is given up ends with GeneratorExit
            sock.close()
            raise

    @functools.wraps(handshake)
    async def shaking(self: Any) -> None:
        try:
            await handshake(self)
        except BaseException:
            self.abort()
            raise

    connecting.closes = True  # type: ignore[attr-defined]
    KafkaNetSocket.sock_connect = connecting
    KafkaSSLTransport.handshake = shaking
