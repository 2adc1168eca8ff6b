"""Whole batches next to the library's own records, without a broker."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import kafka.codec
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from tests.daemon.transport import crafted
from tests.daemon.transport.drawn import Batch, Row, fetches
from tests.examples import examples
from watchkeeper.daemon.transport import kafka_guard, kafka_reading, kafka_whole
from watchkeeper.daemon.transport.batches import best
from watchkeeper.daemon.transport.kafka_batches import records_from, whole_batches
from watchkeeper.daemon.transport.kafka_guard import prepare
from watchkeeper.daemon.transport.kafka_reading import Way, hook, way, why_not
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.daemon.transport.records import Records
from watchkeeper.daemon.transport.settings import KafkaSettings


class Aborted(NamedTuple):
    """What brokers say of an aborted transaction."""

    producer_id: int
    first_offset: int


class Read(NamedTuple):
    """What reading brought, where it stands, and what ended it."""

    records: list[Record]
    position: int
    epoch: int
    error: str


@pytest.fixture(autouse=True, scope="module")
def _prepared() -> None:
    prepare()


def read(
    made_by: Any, data: bytes, offset: int = 0, aborted: tuple[Aborted, ...] = (), most: int = 1000
) -> Read:
    part = made_by(
        offset,
        TopicPartition("t", 3),
        MemoryRecords(data),
        isolation_level=IsolationLevel.READ_COMMITTED,
        aborted_transactions=list(aborted),
    )
    records: list[Record] = []
    error = ""
    whole = made_by is not Fetcher.PartitionRecords
    for _ in itertools.takewhile(lambda _: bool(part), range(10_000)):
        try:
            taken = part.take(most)
        except Exception as broken:  # noqa: BLE001 - it is compared
            error = type(broken).__name__
            break
        if whole:
            records += Records.joined(list(taken))
        elif taken:
            records += records_from(taken)
    return Read(records, part.next_fetch_offset, part.leader_epoch, error)


def ours(*given: Any, **named: Any) -> Read:
    return read(whole_batches(), *given, **named)


def theirs(*given: Any, **named: Any) -> Read:
    return read(Fetcher.PartitionRecords, *given, **named)


@settings(max_examples=examples(200), deadline=None)
@given(fetches(), st.sampled_from([1, 300, 2_000, 1 << 24]), st.data())
def test_both_ways_read_the_same(
    drawn: tuple[list[Batch], list[tuple[int, int]]], most: int, draw: st.DataObject
) -> None:
    batches, aborted = drawn
    data = b"".join(batch.encoded() for batch in batches)
    end = batches[-1].base + batches[-1].last + 1
    offset = draw.draw(st.integers(batches[0].base, end))
    told = tuple(Aborted(*each) for each in aborted)

    whole = ours(data, offset, told, most)

    assert whole == theirs(data, offset, told)
    assert whole.error == ""
    assert whole.position == end


@settings(max_examples=examples(200), deadline=None)
@given(fetches(), st.data())
def test_of_broken_bytes_nothing_else_is_read(
    drawn: tuple[list[Batch], list[tuple[int, int]]], draw: st.DataObject
) -> None:
    """The library hands out some broken records; whole batches stop there, and never later."""
    data, starts = bytearray(), []
    for batch in drawn[0]:
        starts.append(len(data))
        data += batch.encoded()
    at = draw.draw(st.sampled_from(starts)) + draw.draw(st.integers(16, 90))
    data[min(at, len(data) - 1)] ^= draw.draw(st.sampled_from([1, 2, 128]))

    whole, single = ours(bytes(data)), theirs(bytes(data))

    assert whole.records == single.records[: len(whole.records)]
    if single.error:
        assert whole.error
    if not whole.error:
        assert whole == single


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [crafted.NONE, crafted.GZIP, crafted.SNAPPY])
def test_older_formats_are_read_the_librarys_way(magic: int, codec: int) -> None:
    data = b""
    for base in (0, 5):
        builder = MemoryRecordsBuilder(magic, codec, 1 << 20, offset=base)
        for i in range(5):
            builder.append(1_767_225_600_000 + i, b"key", b"%d" % i)
        builder.close()
        data += bytes(builder.buffer())
    data += Batch([Row(0, 0, b"key", b"new", ())], 10, 0).encoded()

    whole = ours(data, 2, most=150)

    assert whole == theirs(data, 2)
    assert [r.offset for r in whole.records] == list(range(2, 11))


@pytest.mark.parametrize("codec", crafted.PACK)
def test_a_bomb_is_refused_at_the_bound(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_guard, "LARGEST_BATCH", 100_000)
    data = crafted.good([b"before"]) + crafted.good([b"\0" * 200_000], codec)

    whole = ours(data)

    assert whole.error == theirs(data).error == ("TooMuch" if codec else "")
    assert whole.records[0].value == b"before"


@pytest.mark.parametrize("codec", [crafted.SNAPPY, crafted.LZ4, crafted.ZSTD])
def test_a_missing_codec_is_said(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    name = {crafted.SNAPPY: "snappy", crafted.LZ4: "lz4", crafted.ZSTD: "zstd"}[codec]
    monkeypatch.setattr(kafka.codec, f"has_{name}", lambda: False)
    data = crafted.good([b"before"]) + crafted.good([b"packed"], codec)

    whole = ours(data)

    assert whole == theirs(data)
    assert whole.error == "UnsupportedCodecError"


def test_what_cannot_be_read_is_raised_until_it_is_dropped() -> None:
    broken = crafted.batch(crafted.record(0, b"x") + b"\xff" * 11, 2)
    part = whole_batches()(0, TopicPartition("t", 0), MemoryRecords(broken))

    assert [r.value for r in Records.joined(list(part.take(1_000)))] == [b"x"]
    for _ in range(3):
        with pytest.raises(Exception, match="behind offset 0"):
            part.take(1_000)
    assert part
    part.drain()
    assert not part


def test_a_huge_batch_is_handed_out_in_parts() -> None:
    rows = [Row(i, 0, None, b"", ()) for i in range(30_000)]
    data = Batch(rows, 0, len(rows) - 1, codec=crafted.ZSTD).encoded()
    part = whole_batches()(0, TopicPartition("t", 0), MemoryRecords(data))

    taken = part.take(500_000)

    pieces = list(taken)
    assert max(map(len, pieces)) <= 5_000
    assert len(taken) >= 500_000
    assert sum(map(len, pieces)) <= 5_000
    assert part.next_fetch_offset == sum(map(len, pieces))


# ---------------------------------------------------------------------------- which way is taken


@pytest.fixture
def tried_anew() -> Any:
    why_not.cache_clear()
    yield
    why_not.cache_clear()


SETTINGS = KafkaSettings(bootstrap_servers=["127.0.0.1:9"])


@pytest.mark.usefixtures("tried_anew")
def test_the_installed_library_is_fit_for_whole_batches() -> None:
    """When this fails, the library changed: reading goes on record by record, and is slower."""
    assert way(SETTINGS) == Way("batches", "")


@pytest.mark.usefixtures("tried_anew")
def test_a_splitter_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    right = best()

    def wrong(*given: Any) -> Any:
        piece = right(*given)
        piece.at[:1] += 0.001
        return piece

    monkeypatch.setattr(kafka_whole, "best", lambda: wrong)

    found = way(SETTINGS)

    assert found.reading == "records"
    assert "reads differently" in found.reason


@pytest.mark.usefixtures("tried_anew")
def test_a_library_that_changed_inside_is_not_hooked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Fetcher.PartitionRecords, "_contains_abort_marker")
    monkeypatch.delattr(Fetcher.PartitionRecords, "_unpack_records")

    found = way(SETTINGS)

    assert found.reading == "records"
    assert "AttributeError" in found.reason


def test_a_consumer_without_that_place_is_left_alone() -> None:
    class Other:
        _fetcher = object()

    found = hook(Other(), Way("batches"))

    assert found.reading == "records"
    assert "elsewhere" in found.reason


def test_settings_can_forbid_it() -> None:
    off = msgspec.structs.replace(SETTINGS, batches=False)

    assert way(off) == Way("records", "kafka.batches is off")
    assert kafka_reading.hook(object(), way(off)).reading == "records"
