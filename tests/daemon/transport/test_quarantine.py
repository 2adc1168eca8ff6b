"""Records that no client can read, on a real broker: the partition goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from tests.daemon.transport import crafted
from tests.daemon.transport.contract import read, until_caught_up
from tests.daemon.transport.onkafka import publish, settings_for, topic_of
from tests.daemon.transport.rawproduce import produce
from tests.services.brokers import Broker
from tests.services.fallback_broker import FallbackBroker
from watchkeeper.daemon.transport.kafka import KafkaSource
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.daemon.transport.quarantine import QuarantinedRange
from watchkeeper.daemon.transport.settings import KafkaSettings

pytestmark = pytest.mark.service

# A varint of eleven bytes: no reader takes it, and the checksum around it is right.
BROKEN = b"\xff" * 11
Poison = Callable[[], tuple[bytes, int]]


def _records(count: int) -> bytes:
    return b"".join(crafted.record(i, b"%d" % i) for i in range(count))


def broken_record() -> tuple[bytes, int]:
    return crafted.batch(_records(20) + BROKEN + _records(20), 40), 40


def broken_compression() -> tuple[bytes, int]:
    return crafted.batch(b"", 5, crafted.NONE, attributes=crafted.ZSTD), 5


def unknown_codec() -> tuple[bytes, int]:
    return crafted.batch(crafted.record(0, b"x"), 1, crafted.NONE, attributes=7), 1


def bomb() -> tuple[bytes, int]:
    return crafted.good([b"\0" * (100 * 1024 * 1024)], crafted.GZIP), 1


@pytest.fixture(params=[True, False], ids=["batches", "records"])
def batches(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def settings(kafka: Broker, batches: bool) -> KafkaSettings:
    return settings_for(kafka, batches=batches)


@pytest.fixture
def credulous(credulous_broker: FallbackBroker, batches: bool) -> KafkaSettings:
    return settings_for(credulous_broker, batches=batches)


def read_around(
    settings: KafkaSettings, topic: str, count: int
) -> tuple[list[Record], list[QuarantinedRange]]:
    with closing(KafkaSource(settings, [topic])) as source:
        records = read(source, count)
        records += until_caught_up(source)
        assert source.reading == ("batches" if settings.batches else "records")
        return records, source.take_quarantined()


def stored(settings: KafkaSettings, topic: str, batch: bytes) -> None:
    """Puts the batch on the broker as it is."""
    assert produce(settings.bootstrap_servers[0], topic, batch) is None


@pytest.mark.parametrize("poison", [broken_record, broken_compression, unknown_codec, bomb])
def test_an_unreadable_batch_is_passed_over_and_reported(
    credulous: KafkaSettings, poison: Poison
) -> None:
    settings, topic = credulous, topic_of(credulous)
    batch, count = poison()
    publish(settings, topic, [b"before 1", b"before 2"])
    stored(settings, topic, batch)
    publish(settings, topic, [b"after 1", b"after 2"])

    records, quarantined = read_around(settings, topic, 4)

    values = [r.value for r in records]
    assert values[:2] == [b"before 1", b"before 2"]
    assert values[-2:] == [b"after 1", b"after 2"]
    (range_,) = quarantined
    assert range_.start + count - (range_.start - 2) == range_.end
    assert len(values) - 4 == range_.start - 2
    assert range_.reason


def test_two_unreadable_batches_are_two_ranges(credulous: KafkaSettings) -> None:
    settings, topic = credulous, topic_of(credulous)
    batch, count = unknown_codec()
    for n in range(2):
        publish(settings, topic, [b"%d" % n])
        stored(settings, topic, batch)
    publish(settings, topic, [b"2"])

    records, quarantined = read_around(settings, topic, 3)

    assert [r.value for r in records] == [b"0", b"1", b"2"]
    assert [(q.start, q.end) for q in quarantined] == [(1, 2), (3, 4)]
    assert count == 1


def test_good_records_between_unreadable_batches_are_read(credulous: KafkaSettings) -> None:
    settings, topic = credulous, topic_of(credulous)
    unreadable = crafted.batch(_records(10), 10, crafted.NONE, attributes=7)
    broken, _ = broken_record()  # the records before the broken one can be read
    publish(settings, topic, [b"before"])
    for n, batch in enumerate([unreadable, unreadable, broken, unreadable]):
        stored(settings, topic, batch)
        publish(settings, topic, [b"after %d" % n])

    records, quarantined = read_around(settings, topic, 5)

    values = [r.value for r in records]
    assert [v for v in values if v and not v.isdigit()] == [
        b"before", b"after 0", b"after 1", b"after 2", b"after 3"
    ]  # fmt: skip
    assert len({(r.offset, r.value) for r in records}) == len(records)
    partial = len(values) - 5  # what was handed out of the broken one
    assert [(q.start, q.end) for q in quarantined] == [
        (1, 11), (12, 22), (23 + partial, 63), (64, 74)
    ]  # fmt: skip


def test_header_keys_that_are_no_utf8_are_escaped(settings: KafkaSettings) -> None:
    topic = topic_of(settings)
    header = crafted.record(0, b"v", [(b"\xff\xfe", b"1"), (b"ok", None)])
    stored(settings, topic, crafted.batch(header, 1))

    records, quarantined = read_around(settings, topic, 1)

    assert records[0].headers == (("\\xff\\xfe", b"1"), ("ok", None))
    assert quarantined == []


def test_headers_beyond_the_limit_are_dropped(settings: KafkaSettings) -> None:
    topic = topic_of(settings)
    header = crafted.record(0, b"v", [(b"h", b"x" * 100_000)])
    stored(settings, topic, crafted.batch(header, 1))

    records, _ = read_around(settings, topic, 1)

    assert (records[0].value, records[0].headers) == (b"v", ())


@pytest.mark.parametrize(
    "codec",
    [crafted.GZIP, crafted.SNAPPY, crafted.LZ4, crafted.ZSTD],
    ids=["gzip", "snappy", "lz4", "zstd"],
)
def test_every_codec_is_read(settings: KafkaSettings, codec: int) -> None:
    topic = topic_of(settings)
    stored(settings, topic, crafted.good([b"1", b"2"], codec))

    records, quarantined = read_around(settings, topic, 2)

    assert [r.value for r in records] == [b"1", b"2"]
    assert quarantined == []
