from __future__ import annotations

import gzip
import inspect
import os
import socket
import tracemalloc
from typing import Any

import kafka.codec
import kafka.record.default_records as default_records
import kafka.record.util
import lz4.frame  # type: ignore[import-untyped]
import pytest
from kafka.net.transport import KafkaTCPTransport
from kafka.protocol.frame import KafkaBytes

from tests.daemon.transport import crafted
from watchkeeper.daemon.transport import kafka_guard
from watchkeeper.daemon.transport.kafka_guard import TooMuch, prepare
from watchkeeper.daemon.transport.ports import SourceError

UNPACK = {
    crafted.GZIP: kafka_guard.gzip_decode,
    crafted.SNAPPY: kafka_guard.snappy_decode,
    crafted.LZ4: kafka_guard.lz4_decode,
    crafted.ZSTD: kafka_guard.zstd_decode,
}
CODECS = pytest.mark.parametrize("codec", UNPACK, ids=["gzip", "snappy", "lz4", "zstd"])


def test_the_installed_library_is_the_one_the_patch_was_written_for() -> None:
    """When this fails, read the new `_read_msg` and decide anew: the patch is one argument."""
    prepare()

    assert default_records.DefaultRecordBatch._read_msg.changed_to
    source = inspect.getsource(default_records)
    assert source.count('h_key = buffer[pos: pos + h_key_len].decode("utf-8")') == 1


def test_what_a_socket_holds_is_taken_in_large_pieces() -> None:
    prepare()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(b"x" * 50_000)
        transport = KafkaTCPTransport.__new__(KafkaTCPTransport)
        counted = transport._sock = _Counted(ours)

        found, error = transport._sock_recv()

    assert (found, error) == (b"x" * 50_000, None)
    assert counted.calls < 5


class _Counted:
    """A socket that counts how often it is read."""

    def __init__(self, own: socket.socket) -> None:
        self.own, self.calls = own, 0

    def recv(self, size: int) -> bytes:
        self.calls += 1
        return self.own.recv(size)


def test_an_answer_comes_out_of_its_buffer_as_it_was_put_in() -> None:
    prepare()
    buffer = KafkaBytes(10)

    for piece in (b"0123", b"", b"456789"):
        buffer.write(piece)
    at = buffer.tell()
    buffer.seek(0)

    assert KafkaBytes.read.changed_to
    assert KafkaBytes.write.changed_to
    assert (at, buffer.read(4), buffer.read(0), buffer.read(), buffer.read(3), buffer.tell()) == (
        10,
        b"0123",
        b"",
        b"456789",
        b"",
        10,
    )


def test_the_decompressors_are_in_place_where_batches_are_read() -> None:
    prepare()

    for name in ("gzip_decode", "snappy_decode", "lz4_decode", "zstd_decode"):
        assert getattr(default_records, name) is getattr(kafka_guard, name)
        assert getattr(kafka.codec, name) is getattr(kafka_guard, name)


@CODECS
@pytest.mark.parametrize("data", [b"", b"x", b"abc" * 100_000], ids=["empty", "short", "long"])
def test_what_is_packed_is_unpacked(codec: int, data: bytes) -> None:
    assert UNPACK[codec](memoryview(crafted.PACK[codec](data)).tobytes()) == data


@CODECS
def test_what_would_be_too_much_is_refused(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_guard, "LARGEST_BATCH", 100_000)

    assert len(UNPACK[codec](crafted.PACK[codec](b"\0" * 100_000))) == 100_000
    with pytest.raises(TooMuch):
        UNPACK[codec](crafted.PACK[codec](b"\0" * 100_001))


@CODECS
def test_what_is_cut_off_is_never_taken_for_whole(codec: int) -> None:
    data = os.urandom(10_000)
    packed = crafted.PACK[codec](data)

    try:
        unpacked = UNPACK[codec](packed[:5_000])
    except TooMuch:
        raise
    except Exception:  # noqa: BLE001 - each library has errors of its own
        return
    # Zstandard gives what it has; the record parser then misses the rest.
    assert codec == crafted.ZSTD
    assert len(unpacked) < len(data)


def test_xerial_blocks_are_unpacked() -> None:
    data = b"abc" * 50_000

    assert kafka_guard.snappy_decode(kafka.codec.snappy_encode(data)) == data


def test_several_gzip_members_are_one() -> None:
    assert kafka_guard.gzip_decode(gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"


@pytest.mark.parametrize(
    ("owner", "name", "value", "said"),
    [
        (kafka.record.util, "crc32c_c", None, "pip install crc32c"),
        (kafka.codec, "snappy", None, "the snappy codec is missing"),
        (kafka.codec, "zstd", None, "the zstd codec is missing"),
        (kafka, "__version__", "3.1.0", r"kafka-python 3\.1\.0 is not known"),
        (kafka, "__version__", "3.0.9", r"kafka-python 3\.0\.9 is not known"),
    ],
)
def test_a_missing_package_is_said_in_one_sentence(
    owner: Any, name: str, value: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, value)

    with pytest.raises(SourceError, match=said):
        prepare()


@CODECS
def test_what_is_too_much_leaves_nothing_behind(
    codec: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is kept while it is looked for where to read on, which unpacks it once more."""
    monkeypatch.setattr(kafka_guard, "LARGEST_BATCH", 32 << 20)
    monkeypatch.setattr(kafka_guard, "_PIECE", 4 << 20, raising=False)
    bomb = crafted.PACK[codec](bytes(40 << 20))
    tracemalloc.start()

    with pytest.raises(TooMuch) as kept:
        UNPACK[codec](bomb)

    held, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept.value.__traceback__ is not None
    assert held < 4 << 20
    assert highest < 60 << 20


@pytest.mark.parametrize("frames", [1, 3])
def test_lz4_is_unpacked_piece_by_piece(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_guard, "_PIECE", 1_000, raising=False)
    data = os.urandom(20_000) + bytes(30_000)

    unpacked = kafka_guard.lz4_decode(lz4.frame.compress(data) * frames)

    assert unpacked == data * frames
    with pytest.raises(ValueError, match="cut off"):
        kafka_guard.lz4_decode(lz4.frame.compress(data)[:-5])
