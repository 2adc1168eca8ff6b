"""Connections to brokers that kafka-python makes, and that the polling thread then has to itself.

The library knows brokers by names, too, as it does for a second connection to the coordinator of a
group. So a further connection to a broker is one to a broker of another name.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from watchkeeper.daemon.transport.standstill import Stuck

log = structlog.get_logger()

_MANAGER = ("get_connection", "cluster", "config", "call_soon", "_auth_failures")
_CONNECTION = ("_reauth", "parser", "broker_version_data", "net", "closed")
_TRANSPORT = ("_sock", "_sock_recv", "_sock_send", "_write_buffer", "_read_task", "pause_reading")
_AGAIN_S = 1.0  # after a connection was opened, however soon it is lost
_LOGIN_SHARE = 0.8  # of how long brokers let a login last: then the connection is made anew


def known_to_lines(manager: Any) -> bool:
    """Whether the library's manager of connections is as expected."""
    cluster = getattr(manager, "cluster", None)
    known = all(hasattr(manager, name) for name in _MANAGER)
    return known and hasattr(cluster, "_coordinator_brokers")


@dataclass
class Line:
    """A connection to one broker, from when it is asked for on. Whatever is done with one that was
    closed raises ConnectionError."""

    address: tuple[str, int]
    opened_at: float
    opening: Any = None
    connection: Any = None
    until: float = float("inf")
    heard_at: float = float("-inf")  # by `time.monotonic`

    @property
    def open(self) -> bool:
        """Whether it is there, and nobody else reads from it."""
        return self.connection is not None and not self.connection.closed

    @property
    def unsent(self) -> bool:
        """Whether a part of a request waits for the socket to take it."""
        return bool(self._transport()._write_buffer)

    def fileno(self) -> int:
        """Of its socket."""
        return int(self._transport()._sock.fileno())

    def send(self, request: Any) -> None:
        """Sends as much of the request as the socket takes. Raises what the socket raises."""
        transport, parser = self._transport(), self.connection.parser
        request.API_VERSION = self.connection.broker_version_data.api_version(request)
        parser.send_request(request)
        transport._write_buffer.append(parser.send_bytes())
        self._write(transport)

    def moved(self) -> Sequence[Any]:
        """Sends what is left and receives what is there; the answers that are whole. Raises what
        the socket and the parser raise."""
        transport = self._transport()
        if transport._write_buffer:
            self._write(transport)
        data, error = transport._sock_recv()
        if data:
            self.heard_at = transport.last_read = time.monotonic()
        if error is not None:
            raise _original(error)
        return [answer for _, answer in self.connection.parser.receive_bytes(data)]

    def take_over(self, connection: Any) -> None:
        """Has nobody else read from it from here on; on the library's thread. Raises TypeError
        where the library is not as expected."""
        transport = connection.transport
        if transport is None or transport.is_closing():
            raise ConnectionError("the connection was closed")
        for owner, names in ((connection, _CONNECTION), (transport, _TRANSPORT)):
            if lacking := [name for name in names if not hasattr(owner, name)]:
                raise TypeError(f"kafka-python's {type(owner).__name__} has no {lacking[0]}")
        transport.pause_reading()
        connection.net.cancel(transport._read_task)
        transport.close = partial(_close_at_once, transport)
        connection._reauth.cancel()
        if lasts_ms := connection._reauth.session_lifetime_ms:
            self.until = time.monotonic() + lasts_ms / 1000 * _LOGIN_SHARE
        self.connection = connection

    def _transport(self) -> Any:
        transport = None if self.connection is None else self.connection.transport
        if transport is None or transport._sock is None:
            raise ConnectionError("the connection was closed")
        return transport

    def _write(self, transport: Any) -> None:
        _, error = transport._sock_send()
        transport.last_write = time.monotonic()
        if error is not None:
            raise _original(error)


def _close_at_once(transport: Any) -> None:
    """Closes one that nobody sends the rest of a request on any more."""
    transport._write_buffer.clear()
    type(transport).close(transport)


def _original(error: Any) -> BaseException:
    """What the library has made an error of: also that the poll is broken off."""
    cause = error.args[0] if error.args else None
    return cause if isinstance(cause, Stuck) else error


class Lines:
    """Connections by broker, opened when they are first asked for and whenever they were lost.

    Whoever closes the library's client closes them, too.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._lines: dict[Any, Line] = {}
        self._told: set[str] = set()
        self._usable = True
        self.patience_s: float = manager.config["request_timeout_ms"] / 1000

    def to(self, node: Any) -> Line | None:
        """The connection to a broker that is not waited for; None where there is none (yet)."""
        broker, now = self._manager.cluster.broker_metadata(node), time.monotonic()
        if broker is None or not self._usable:
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
        """Has the library close one: because of an error, or because it is old or leads to where
        the broker is no more."""
        connection, line.connection = line.connection, None
        if connection is not None:
            self._manager.call_soon(lambda: connection.close(error))

    def _open(self, node: Any, broker: Any, address: tuple[str, int]) -> None:
        line = self._lines[node] = Line(address, time.monotonic())
        name = f"fetches-{node}"
        named = type(broker)(name, *address, None)

        async def opening() -> None:
            self._manager.cluster._coordinator_brokers[name] = named
            self._manager._auth_failures.pop(name, None)  # the next login may succeed
            connection = self._manager.get_connection(name)
            await connection
            line.take_over(connection)

        line.opening = self._manager.call_soon(opening)
        line.opening.add_errback(self._not_opened, f"{node}")

    def _not_opened(self, broker: str, error: BaseException) -> None:
        """Says so once a broker; on the library's thread."""
        if isinstance(error, TypeError):
            self._usable = False
            log.warning("findings come later than they could", reason=f"{error}"[:300])
        elif broker not in self._told:
            self._told.add(broker)
            log.info("no connection of our own to a broker", broker=broker, reason=f"{error}"[:300])
