"""Produces bytes as they are: no client of the library would send a broken batch."""

from __future__ import annotations

import socket
import struct


def produce(bootstrap: str, topic: str, batch: bytes) -> str | None:
    """Sends one batch to partition 0 by Produce v7; the broker's refusal, or None."""
    host, _, port = bootstrap.rpartition(":")
    client = b"crafted"
    header = struct.pack(">hhih", 0, 7, 1, len(client)) + client
    name = topic.encode()
    body = (
        struct.pack(">hhi", -1, 1, 20_000)
        + struct.pack(">ih", 1, len(name))
        + name
        + struct.pack(">iii", 1, 0, len(batch))
        + batch
    )
    with socket.create_connection((host, int(port)), timeout=20) as link:
        link.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        answer = _read(link)
    at = 4 + 4 + 2 + len(name) + 4 + 4
    (error,) = struct.unpack_from(">h", answer, at)
    return None if error == 0 else f"error {error}"


def _read(link: socket.socket) -> bytes:
    (length,) = struct.unpack(">i", _exactly(link, 4))
    return _exactly(link, length)


def _exactly(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = link.recv(count - len(data))
        if not part:
            raise ConnectionError("the broker hung up")
        data += part
    return data
