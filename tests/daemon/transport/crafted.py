"""Record batches that no decent producer would write, and the way to get them onto a broker."""

from __future__ import annotations

import gzip
import struct
import time
from collections.abc import Callable, Sequence

import lz4.frame  # type: ignore[import-untyped]
import snappy  # type: ignore[import-untyped]
import zstandard
from crc32c import crc32c

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
PACK: dict[int, Callable[[bytes], bytes]] = {
    NONE: bytes,
    GZIP: gzip.compress,
    SNAPPY: snappy.compress,
    LZ4: lz4.frame.compress,
    ZSTD: zstandard.ZstdCompressor().compress,
}
Header = tuple[bytes, bytes | None]


def varint(value: int) -> bytes:
    """Zigzag, then seven bits a byte."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(0x80 | rest & 0x7F)
        rest >>= 7
    return bytes([*out, rest])


def _sized(value: bytes | None) -> bytes:
    return varint(-1) if value is None else varint(len(value)) + value


def record(delta: int, value: bytes | None, headers: Sequence[Header] = ()) -> bytes:
    """One record of a batch."""
    body = b"\0" + varint(0) + varint(delta) + _sized(b"key") + _sized(value) + varint(len(headers))
    for name, text in headers:
        body += varint(len(name)) + name + _sized(text)
    return varint(len(body)) + body


def batch(records: bytes, count: int, codec: int = NONE, attributes: int = 0) -> bytes:
    """A batch with a right checksum around whatever the records are."""
    now = int(time.time() * 1000)
    after_crc = struct.pack(
        ">hiqqqhii", codec | attributes, count - 1, now, now, -1, -1, -1, count
    ) + PACK[codec](records)
    head = struct.pack(">iBI", 0, 2, crc32c(after_crc))
    return struct.pack(">qi", 0, len(head) + len(after_crc)) + head + after_crc


def good(values: Sequence[bytes], codec: int = NONE) -> bytes:
    """A batch of ordinary records."""
    return batch(b"".join(record(i, v) for i, v in enumerate(values)), len(values), codec)
