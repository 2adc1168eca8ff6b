"""What kafka-python needs before it may read what strangers wrote.

Three defences are put into the library in memory, behind a check of its version: header keys that
are no UTF-8 are escaped instead of stopping the partition, a batch is unpacked to at most
`LARGEST_BATCH` bytes instead of to whatever it claims, and a partition that was paused half-read
goes on after it is resumed. And it is spared work: sockets are read in larger pieces, answers are
copied once into its buffer and once out of it, partitions are described once, and requests are
written when they are made (`kafka_io`, `kafka_thrift`).
"""

from __future__ import annotations

import functools
import gzip
import inspect
import io
import struct
import textwrap
from typing import Any

import structlog

from watchkeeper.daemon.transport.kafka_io import spare_steps
from watchkeeper.daemon.transport.kafka_thrift import describe_once
from watchkeeper.daemon.transport.ports import SourceError

log = structlog.get_logger()

LARGEST_BATCH = 64 * 1024 * 1024
_STRICT, _ESCAPING = '.decode("utf-8")', '.decode("utf-8", "backslashreplace")'
_LITTLE, _MUCH = "self._sock.recv(4096)", "self._sock.recv(262144)"
_READ_TWICE, _READ = "bytes(self[start:self._idx])", "bytes(memoryview(self)[start:self._idx])"
_WRITTEN_TWICE = "self[start:self._idx] = data"
_WRITTEN = "memoryview(self)[start:self._idx] = data"
_XERIAL_HEADER = 16
_PIECE = 8 * 1024 * 1024  # of LZ4 unpacked in one call, which makes room for all of that first


class TooMuch(Exception):
    """A batch would be larger unpacked than `LARGEST_BATCH` bytes."""

    def __init__(self) -> None:
        super().__init__(f"a batch unpacks to more than {LARGEST_BATCH} bytes")


def prepare() -> None:
    """Checks the installation and puts the defences in place. Idempotent.

    Raises SourceError with one sentence when a package is missing.
    """
    import kafka
    import kafka.codec
    import kafka.record.util

    if kafka.record.util.crc32c_c is None:
        raise SourceError(
            "package crc32c is missing, without it reading is 9 times slower: pip install crc32c"
        )
    for name in ("snappy", "lz4", "zstd"):
        if not getattr(kafka.codec, f"has_{name}")():
            raise SourceError(
                f"the {name} codec is missing, its batches could not be read: "
                "pip install 'kafka-python[lz4,snappy,zstd]'"
            )
    if not _known(kafka.__version__):
        raise SourceError(
            f"kafka-python {kafka.__version__} is not known: "
            "pip install 'kafka-python>=3.0.12,<3.1'"
        )
    _escape_header_keys()
    _receive_more()
    _copy_less()
    _bound_codecs()
    _resume_parked()
    describe_once()
    spare_steps()


def _known(version: str) -> bool:
    """Whether it is one that the defences were written for; older ones lose partitions."""
    numbers = [int(part) for part in version.split(".")[:3] if part.isdigit()]
    return [3, 0, 12] <= numbers < [3, 1]


def _escape_header_keys() -> None:
    from kafka.record import default_records
    from kafka.record.default_records import DefaultRecordBatch

    if not _changed(DefaultRecordBatch, "_read_msg", default_records, _STRICT, _ESCAPING):
        log.warning("kafka-python is not as expected: header keys stay strict")


def _receive_more() -> None:
    """Has the library take more from a socket in one call, and so give way to others less often."""
    from kafka.net import transport

    if not _changed(transport.KafkaTCPTransport, "_sock_recv", transport, _LITTLE, _MUCH):
        log.warning("kafka-python is not as expected: sockets are read in small pieces")


def _copy_less() -> None:
    """Has the library copy an answer once into its buffer and once out of it, not twice each."""
    from kafka.protocol import frame

    read = _changed(frame.KafkaBytes, "read", frame, _READ_TWICE, _READ)
    if not _changed(frame.KafkaBytes, "write", frame, _WRITTEN_TWICE, _WRITTEN) or not read:
        log.warning("kafka-python is not as expected: answers are copied more often than needed")


def _changed(owner: Any, name: str, module: Any, old: str, new: str) -> bool:
    """Puts a method in place that is that of the installed library but for one expression; whether
    it is there."""
    method = getattr(owner, name)
    if getattr(method, "changed_to", None) == new:
        return True
    try:
        source = textwrap.dedent(inspect.getsource(method))
    except OSError:
        source = ""
    if source.count(old) != 1:
        return False
    made: dict[str, Any] = {}
    changed = compile(source.replace(old, new), method.__code__.co_filename, "exec")
    exec(changed, vars(module), made)
    made[name].changed_to = new
    setattr(owner, name, made[name])
    return True


def _resume_parked() -> None:
    """Lets the fetcher take back the records of a resumed partition.

    It takes parked records only when it holds none, and takes the exhausted ones it still holds
    for some: then a partition that was paused half-read never brings its rest.
    """
    from kafka.consumer.fetcher import Fetcher

    fetched = Fetcher.fetched_records
    if getattr(fetched, "resumes_parked", False):
        return
    if not hasattr(Fetcher, "_append") or "_paused_partition_records" not in _names(fetched):
        log.warning("kafka-python is not as expected: parked records stay as they are")
        return

    @functools.wraps(fetched)
    def resuming(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._next_partition_records:
            self._next_partition_records = None
        return fetched(self, *args, **kwargs)

    resuming.resumes_parked = True  # type: ignore[attr-defined]
    Fetcher.fetched_records = resuming


def _names(function: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = function.__code__.co_names
    return names


def _bound_codecs() -> None:
    """Replaces the decompressors where the record parsers look for them."""
    import kafka.codec
    from kafka.record import default_records, legacy_records

    for module in (kafka.codec, default_records, legacy_records):
        for bounded in (gzip_decode, snappy_decode, lz4_decode, zstd_decode):
            if hasattr(module, bounded.__name__):
                setattr(module, bounded.__name__, bounded)


class _Pieces:
    """What a batch is unpacked to, up to the bound, and copied only where there are several.

    Who keeps an error keeps what the functions held that it went through: beyond the bound that is
    nothing.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0

    def make_room(self, length: int) -> None:
        if self._length + length > LARGEST_BATCH:
            self._pieces.clear()
            raise TooMuch

    def add(self, piece: bytes) -> None:
        length = len(piece)
        self._pieces.append(piece)
        del piece
        self.make_room(length)
        self._length += length

    def whole(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


def gzip_decode(payload: Any) -> bytes:
    """Unpacks gzip up to the bound."""
    pieces = _Pieces()
    with gzip.GzipFile(fileobj=io.BytesIO(payload), mode="r") as file:
        pieces.add(file.read(LARGEST_BATCH + 1))
    return pieces.whole()


def zstd_decode(payload: Any) -> bytes:
    """Unpacks Zstandard up to the bound."""
    import zstandard

    pieces = _Pieces()
    with zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(payload), read_across_frames=True
    ) as reader:
        pieces.add(reader.read(LARGEST_BATCH + 1))
    return pieces.whole()


def lz4_decode(payload: Any) -> bytes:
    """Unpacks LZ4 frames up to the bound."""
    import lz4.frame  # type: ignore[import-untyped]

    pieces, rest = _Pieces(), bytes(payload)
    while rest:
        frame = lz4.frame.LZ4FrameDecompressor()
        while not frame.eof:
            pieces.add(frame.decompress(rest, max_length=_PIECE))
            rest = b""
            if frame.needs_input and not frame.eof:
                raise ValueError("an LZ4 frame is cut off")
        rest = frame.unused_data or b""
    return pieces.whole()


def snappy_decode(payload: Any) -> bytes:
    """Unpacks Snappy, bare or in xerial blocks, up to the bound.

    Snappy says its length first, so nothing is unpacked that would be too long.
    """
    import snappy  # type: ignore[import-untyped]

    data = bytes(payload)
    if not data.startswith(b"\x82SNAPPY\x00"):
        _bounded_length(_snappy_length(data))
        return bytes(snappy.decompress(data))
    pieces, at = _Pieces(), _XERIAL_HEADER
    while at < len(data):
        (size,) = struct.unpack_from("!i", data, at)
        if size < 0 or at + 4 + size > len(data):
            raise ValueError("a snappy block is cut off")
        block = data[at + 4 : at + 4 + size]
        pieces.make_room(_snappy_length(block))
        pieces.add(snappy.decompress(block))
        at += 4 + size
    return pieces.whole()


def _snappy_length(block: bytes) -> int:
    """The length a block says it has: a varint at its beginning."""
    length = 0
    for i, byte in enumerate(block[:5]):
        length |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return length
    raise ValueError("a snappy block does not begin with its length")


def _bounded_length(length: int) -> None:
    if length > LARGEST_BATCH:
        raise TooMuch
