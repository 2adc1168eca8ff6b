"""Sessions of the replay broker: what an answer within one names, and what ends one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from kafka.protocol.consumer import FetchRequest, FetchResponse

from tests.bench.fetching import MOST_SESSIONS, NEWEST, OLDEST, Fetches
from tests.bench.replay import encoded


class _Log:
    """A partition with one batch of one record for each offset."""

    def __init__(self, count: int) -> None:
        self.batches = [encoded([(1_000, b"key", b"value")]) for _ in range(count)]

    def end(self) -> int:
        return len(self.batches)

    def read(self, offset: int, most: int, at_least_one: bool) -> bytes:
        return b"".join(self.batches[offset : offset + 1])


def _broker(**counts: int) -> tuple[Fetches, dict[str, list[_Log]]]:
    logs = {name: [_Log(count)] for name, count in counts.items()}
    return Fetches(logs, threading.Condition()), logs


def _ask(
    broker: Fetches,
    offsets: Mapping[str, int],
    session: int = 0,
    epoch: int = 0,
    forget: tuple[str, ...] = (),
    version: int = NEWEST,
) -> Any:
    partition, forgotten = FetchRequest.FetchTopic.FetchPartition, FetchRequest.ForgottenTopic
    topics = [
        FetchRequest.FetchTopic(
            topic=name,
            partitions=[partition(partition=0, fetch_offset=at, partition_max_bytes=1_000)],
        )
        for name, at in offsets.items()
    ]
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        max_bytes=10_000,
        session_id=session,
        session_epoch=epoch,
        topics=topics,
        forgotten_topics_data=[forgotten(topic=name, partitions=[0]) for name in forget],
    )
    decoded = FetchRequest.decode(request.encode(version=version), version=version)
    return FetchResponse.decode(broker.answer(decoded, version), version=version)


def _named(answer: Any) -> dict[str, int]:
    """The ends of the partitions that an answer names."""
    return {each.topic: each.partitions[0].high_watermark for each in answer.responses}


def test_a_first_answer_names_all_and_the_next_ones_what_is_new() -> None:
    broker, logs = _broker(a=2, b=0, c=0)

    first = _ask(broker, {"a": 0, "b": 0, "c": 0})
    second = _ask(broker, {"a": 1}, first.session_id, 1)
    logs["c"][0].batches.append(encoded([(1_000, b"key", b"late")]))
    third = _ask(broker, {"a": 2}, first.session_id, 2)
    fourth = _ask(broker, {"c": 1}, first.session_id, 3)

    assert _named(first) == {"a": 2, "b": 0, "c": 0}
    assert _named(second) == {"a": 2}
    assert _named(third) == {"c": 1}
    assert len(third.responses[0].partitions[0].records) > 60
    assert _named(fourth) == {}


def test_a_partition_that_was_forgotten_is_not_answered_until_it_is_asked_for_again() -> None:
    broker, _ = _broker(a=1, b=1)
    session = _ask(broker, {"a": 1, "b": 1}).session_id

    without = _ask(broker, {"b": 0}, session, 1, forget=("a",))
    back = _ask(broker, {"a": 1, "b": 1}, session, 2)

    assert _named(without) == {"b": 1}
    assert _named(back) == {"a": 1}


def test_a_partition_that_brought_records_goes_behind_the_others() -> None:
    broker, _ = _broker(a=9, b=9)
    session = _ask(broker, {"a": 0, "b": 0}).session_id

    orders = [list(_named(_ask(broker, {"a": 1}, session, 1)))]
    orders.append(list(_named(_ask(broker, {}, session, 2, forget=("b",)))))
    orders.append(list(_named(_ask(broker, {"b": 1}, session, 3))))

    assert orders == [["a", "b"], ["a"], ["a", "b"]]


@pytest.mark.parametrize(("number", "epoch", "error"), [(0, 5, 71), (99, 1, 70)])
def test_another_epoch_and_an_unknown_session_are_refused(
    number: int, epoch: int, error: int
) -> None:
    broker, _ = _broker(a=1)
    session = _ask(broker, {"a": 0}).session_id

    answer = _ask(broker, {"a": 0}, number or session, epoch)

    assert answer.error_code == error
    assert answer.responses == []


def test_the_oldest_session_makes_room_for_a_new_one() -> None:
    broker, _ = _broker(a=1)
    sessions = [_ask(broker, {"a": 0}).session_id for _ in range(MOST_SESSIONS + 1)]

    first, last = (_ask(broker, {}, each, 1) for each in (sessions[0], sessions[-1]))

    assert first.error_code == 70
    assert last.error_code == 0


@pytest.mark.parametrize("version", [OLDEST, 5, 7, NEWEST])
def test_every_version_that_is_offered_is_spoken(version: int) -> None:
    broker, logs = _broker(a=1)

    answer = _ask(broker, {"a": 0}, epoch=-1, version=version)

    assert bytes(answer.responses[0].partitions[0].records) == logs["a"][0].batches[0]
    assert answer.session_id == 0
