"""Connections to brokers that kafka-python makes, and that the polling thread then has to itself.

The library knows brokers by names, too, as it does for a second connection to the coordinator of a
group. So a further connection to a broker is one to a broker of another name.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_MANAGER = ("get_connection", "cluster", "config", "call_soon")
_AGAIN_S = 1.0  # after a connection was opened, however soon it is lost
_LOGIN_SHARE = 0.8  # of how long brokers let a login last: then the connection is made anew


def known_to_lines(manager: Any) -> bool:
    """Whether the library's manager of connections is as expected."""
    cluster = getattr(manager, "cluster", None)
    known = all(hasattr(manager, name) for name in _MANAGER)
    return known and hasattr(cluster, "_coordinator_brokers")


@dataclass
class Line:
    """A connection to one broker, from when it is asked for on."""

    address: tuple[str, int]
    opened_at: float
    opening: Any = None
    connection: Any = None
    until: float = float("inf")

    @property
    def open(self) -> bool:
        """Whether it is there, and nobody else reads from it."""
        return self.connection is not None and not self.connection.closed

    @property
    def unsent(self) -> bool:
        """Whether a part of a request waits for the socket to take it."""
        transport = self.connection.transport
        return transport is not None and bool(transport._write_buffer)

    def fileno(self) -> int:
        """Of its socket; below 0 once that is closed."""
        transport = self.connection.transport
        socket = None if transport is None else transport._sock
        return -1 if socket is None else int(socket.fileno())

    def send(self, request: Any) -> None:
        """Sends as much of the request as the socket takes. Raises what the socket raises, and
        ConnectionError where it is closed."""
        transport, parser = self._transport(), self.connection.parser
        request.API_VERSION = self.connection.broker_version_data.api_version(request)
        parser.send_request(request)
        transport._write_buffer.append(parser.send_bytes())
        self._write(transport)

    def moved(self) -> Sequence[Any]:
        """Sends what is left and receives what is there; the answers that are whole. Raises what
        the socket and the parser raise, and ConnectionError where it is closed."""
        transport = self._transport()
        if transport._write_buffer:
            self._write(transport)
        data, error = transport._sock_recv()
        transport.last_read = time.monotonic()
        if error is not None:
            raise error
        return [answer for _, answer in self.connection.parser.receive_bytes(data)]

    def take_over(self, connection: Any) -> None:
        """Has nobody else read from it from here on; on the library's thread."""
        transport, login = connection.transport, connection._reauth
        transport.pause_reading()
        connection.net.cancel(transport._read_task)
        login.cancel()
        if login.session_lifetime_ms:
            self.until = time.monotonic() + login.session_lifetime_ms / 1000 * _LOGIN_SHARE
        self.connection = connection

    def _transport(self) -> Any:
        transport = self.connection.transport
        if transport is None or transport._sock is None:
            raise ConnectionError("the connection was closed")
        return transport

    def _write(self, transport: Any) -> None:
        _, error = transport._sock_send()
        transport.last_write = time.monotonic()
        if error is not None:
            raise error


class Lines:
    """Connections by broker, opened when they are first asked for and whenever they were lost.

    Whoever closes the library's client closes them, too.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._lines: dict[Any, Line] = {}
        self.patience_s: float = manager.config["request_timeout_ms"] / 1000

    def to(self, node: Any) -> Line | None:
        """The connection to a broker that is not waited for; None where there is none (yet)."""
        broker, now = self._manager.cluster.broker_metadata(node), time.monotonic()
        if broker is None:
            return None
        line, address = self._lines.get(node), (broker.host, broker.port)
        if line is not None and line.open and line.address == address and now <= line.until:
            return line
        if line is None or (line.opening.is_done and now > line.opened_at + _AGAIN_S):
            if line is not None and line.open:
                self.close(line)
            self._open(node, broker, address)
        return None

    def close(self, line: Line, error: BaseException | None = None) -> None:
        """Has the library close one, because of an error or because it is old."""
        connection, line.connection = line.connection, None
        self._manager.call_soon(lambda: connection.close(error))

    def _open(self, node: Any, broker: Any, address: tuple[str, int]) -> None:
        line = self._lines[node] = Line(address, time.monotonic())
        name = f"fetches-{node}"
        named = type(broker)(name, *address, None)

        async def opening() -> None:
            self._manager.cluster._coordinator_brokers[name] = named
            connection = self._manager.get_connection(name)
            await connection
            line.take_over(connection)

        line.opening = self._manager.call_soon(opening)
