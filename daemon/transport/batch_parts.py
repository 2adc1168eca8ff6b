"""The parts of a record in a batch: numbers in zigzag, texts behind their length, and headers."""

from __future__ import annotations

from watchkeeper.daemon.transport.ports import Headers

_LARGEST_HEADERS = 65_536


def varint(data: bytes, p: int) -> tuple[int, int]:
    """The number at `p`, in zigzag, and where the next byte is."""
    byte = data[p]
    if byte < 128:
        return (byte >> 1) ^ -(byte & 1), p + 1
    raw = shift = 0
    while True:
        byte = data[p]
        raw |= (byte & 127) << shift
        p += 1
        if byte < 128:
            return (raw >> 1) ^ -(raw & 1), p
        shift += 7
        if shift >= 64:
            raise ValueError("a number of more than 64 bits")


def sized(data: bytes, p: int) -> tuple[bytes | None, int]:
    """The bytes behind their length at `p`, None where it is negative, and what is next."""
    size, p = varint(data, p)
    return (data[p : p + size], p + size) if size >= 0 else (None, p)


def headers_at(data: bytes, p: int) -> tuple[Headers, int]:
    """The headers at `p`, none where they are too large, and where the next byte is."""
    begin = p
    count, p = varint(data, p)
    if count < 0:
        raise ValueError(f"{count} headers")
    found: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        size, p = varint(data, p)
        if size < 0:
            raise ValueError("a header without a name")
        name = data[p : p + size].decode("utf-8", "backslashreplace")
        p += size
        size, p = varint(data, p)
        if size >= 0:
            found.append((name, data[p : p + size]))
            p += size
        else:
            found.append((name, None))
    # Escaping makes four characters of one byte at most.
    if 4 * (p - begin) > _LARGEST_HEADERS and _size(found) > _LARGEST_HEADERS:
        return (), p
    return tuple(found), p


def _size(headers: list[tuple[str, bytes | None]]) -> int:
    return sum(len(name.encode()) + len(value or b"") for name, value in headers)
