"""The proxy itself: each fault is what it says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.faults.proxy import Fault, Proxy, proxied
from tests.services.base import free_ports


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that gives back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with closing(client), suppress(OSError):
            while data := client.recv(4096):
                client.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    """A healthy proxy before the echo."""
    with proxied(free_ports(1)[0], echo) as made:
        yield made


def said(proxy: Proxy, data: bytes = b"0123456789", timeout: float = 0.3) -> bytes:
    """What comes back on a connection of its own in time; the error's name if there is one."""
    try:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout) as client:
            client.sendall(data)
            return client.recv(4096)
    except OSError as error:
        return type(error).__name__.encode()


def test_a_healthy_one_passes_everything(proxy: Proxy) -> None:
    assert said(proxy, timeout=5.0) == b"0123456789"


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Fault.RESET, (b"ConnectionResetError", b"")),
        (Fault.REFUSE, (b"ConnectionRefusedError",)),
        (Fault.HOLE, (b"TimeoutError",)),
        (Fault.CUT, (b"01234", b"ConnectionResetError")),
    ],
)
def test_a_fault_and_its_end(proxy: Proxy, fault: Fault, answer: tuple[bytes, ...]) -> None:
    proxy.apply(fault)
    assert said(proxy) in answer

    proxy.apply(Fault.NONE)
    assert said(proxy, timeout=5.0) == b"0123456789"


def test_an_open_connection_is_reset_too(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5.0) as client:
        client.sendall(b"x")
        assert client.recv(10) == b"x"

        proxy.apply(Fault.RESET)

        with pytest.raises(ConnectionResetError):
            client.recv(10)


def test_delay_and_slowness(proxy: Proxy) -> None:
    proxy.apply(Fault.DELAY)
    began = time.monotonic()
    assert said(proxy, timeout=5.0) == b"0123456789"
    assert time.monotonic() - began >= 0.9  # half a second there, half a second back

    proxy.apply(Fault.SLOW)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5.0) as client:
        client.sendall(b"x" * 1024)
        began, got = time.monotonic(), 0
        while got < 512:
            got += len(client.recv(4096))
        assert time.monotonic() - began >= 0.3
