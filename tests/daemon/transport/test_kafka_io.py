"""What kafka-python's thread is spared, with sockets of this host."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaTCPTransport

from tests.services.base import wait_until
from watchkeeper.daemon.transport import kafka_io
from watchkeeper.daemon.transport.kafka_io import name_no_sockets, spare_steps

A_WHILE_S = 30.0


def test_the_installed_library_writes_as_it_did() -> None:
    """When this fails, read the new `write` and decide anew: ours does what it does at once."""
    spare_steps()

    assert KafkaTCPTransport.write.offers


class Other(KafkaTCPTransport):  # type: ignore[misc]
    """That of another release."""

    _writing: bool

    def write(self, data: bytes) -> None:
        if not self._write or self._closed:
            raise RuntimeError("Transport closed for writes")
        if not data:
            raise ValueError("Cant write empty data")
        self._write_buffer.append(bytes(data))
        if not self._writing:
            self._writing = True
            self._write_task = self._net.call_soon(self._write_to_sock)


class Same(KafkaTCPTransport):  # type: ignore[misc]
    """That of a release with another text around its statements."""

    _writing: bool

    def write(self, data: bytes) -> None:
        """Writes."""
        if not self._write or self._closed:
            raise RuntimeError("Transport closed for writes")
        if not data:
            raise ValueError("Cant write empty data")
        self._write_buffer.append(data)  # to be sent
        if not self._writing:
            self._writing = True
            self._write_task = self._net.call_soon(self._write_to_sock)


def test_only_a_library_that_writes_as_expected_is_changed() -> None:
    plain = Other.write
    for transport in (Other, Same):
        kafka_io._offer_at_once(SimpleNamespace(KafkaTCPTransport=transport))

    assert Other.write is plain
    assert getattr(Same.write, "offers", False)


class Protocol:
    """Whom a transport tells of its end."""

    _sensors = None

    def __init__(self) -> None:
        self.lost = threading.Event()

    def connection_lost(self, error: object) -> None:
        self.lost.set()


@contextmanager
def connected() -> Iterator[tuple[Any, KafkaTCPTransport, socket.socket]]:
    """A transport on a thread of the library, and the other end of its connection."""
    spare_steps()
    spare_steps()
    here, there = socket.socketpair()
    here.setblocking(False)
    net = NetworkSelector()
    net.start()
    transport = KafkaTCPTransport(net, here)
    transport.set_protocol(Protocol())
    with closing(there):
        yield net, transport, there
        net.run(transport.abort)
        net.close()


def written_by_tasks(transport: KafkaTCPTransport) -> list[bool]:
    """Notes each time that a task writes."""
    told: list[bool] = []
    write = transport._write_to_sock

    async def noting() -> None:
        told.append(True)
        await write()

    transport._write_to_sock = noting
    return told


def test_a_request_is_written_when_it_is_made() -> None:
    with connected() as (net, transport, there):
        told = written_by_tasks(transport)

        net.run(transport.write, b"one")
        net.run(transport.write, b"two")

        assert there.recv(6, socket.MSG_WAITALL) == b"onetwo"
    assert told == []


def test_what_a_socket_does_not_take_is_written_in_order_once_it_does() -> None:
    parts = [bytes([number]) * 400_000 for number in range(8)]
    with connected() as (net, transport, there):
        told = written_by_tasks(transport)
        for part in parts:
            net.run(transport.write, part)
        there.settimeout(A_WHILE_S)
        found = bytearray()
        while len(found) < sum(map(len, parts)):
            found += there.recv(1 << 20)

    assert bytes(found) == b"".join(parts)
    assert told


def test_from_another_thread_it_is_left_to_the_library() -> None:
    with connected() as (net, transport, there):
        told = written_by_tasks(transport)
        transport.write(b"late")
        net.wakeup()
        there.settimeout(A_WHILE_S)

        assert there.recv(4) == b"late"
    assert told == [True]


def test_a_connection_that_is_gone_is_told_of() -> None:
    with connected() as (net, transport, there):
        protocol = transport.get_protocol()
        there.close()

        net.run(transport.write, b"one")

        wait_until(protocol.lost.is_set, A_WHILE_S, "the end")


def test_a_socket_that_is_not_known_is_not_named() -> None:
    here, there = socket.socketpair()
    with closing(here), closing(there), selectors.DefaultSelector() as chosen:
        name_no_sockets(chosen)
        key = chosen.register(here, selectors.EVENT_READ)

        assert chosen.get_key(here) is key
        with pytest.raises(KeyError) as caught:
            chosen.get_key(there)
        assert "socket" not in str(caught.value)
