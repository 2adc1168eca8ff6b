"""Batches of an answer are known by their heads, whichever way it is read."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.record import MemoryRecords

from tests.daemon.transport import crafted
from watchkeeper.daemon.transport.kafka_answers import Answer, end_in, head_of, noting
from watchkeeper.daemon.transport.kafka_whole import WholeBatches


def at(base: int, batch: bytes) -> bytes:
    return struct.pack(">q", base) + batch[8:]


@pytest.mark.parametrize("made_by", [WholeBatches, Fetcher.PartitionRecords])
@pytest.mark.parametrize("codec", [crafted.NONE, crafted.ZSTD, 7], ids=["none", "zstd", "unknown"])
def test_the_batch_that_cannot_be_read_is_known(made_by: Any, codec: int) -> None:
    good = at(40, crafted.good([b"a", b"b"])) + at(42, crafted.good([b"c"], crafted.GZIP))
    bad = at(43, crafted.batch(b"\xff" * 30, 17, crafted.NONE, codec))
    noted: list[Answer] = []
    data = MemoryRecords(good + bad + at(60, crafted.good([b"d"])))
    part = noting(made_by, noted.append)(40, TopicPartition("t", 0), data)

    part.take(10_000)
    with pytest.raises(Exception):  # noqa: B017, PT011 - each way of reading raises its own
        part.take(10_000)

    (answer,) = noted
    assert head_of(answer) == bad[:61]
    assert end_in(head_of(answer)) == 60


def test_what_a_head_says_of_its_end() -> None:
    old = struct.pack(">qiIb", 12, 60, 0, 1) + b"\0" * 60

    assert end_in(at(5, crafted.good([b"a", b"b"]))[:61]) == 7
    assert end_in(old[:61]) == 13
    assert end_in(b"\0" * 16) is None
    assert head_of(None) == b""
