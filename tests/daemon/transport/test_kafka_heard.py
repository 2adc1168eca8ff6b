"""An answer of a broker counts once its records were taken, from when it was asked for."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from watchkeeper.daemon.transport.kafka_heard import Heard
from watchkeeper.daemon.transport.ports import Partition

PLACE = Partition("predictions", 0)
ANSWER = SimpleNamespace(error_code=0, responses=[])


class Fetcher:
    """Holds answers until they are taken, all of them or only some."""

    def __init__(self) -> None:
        self.held: list[Any] = []
        self.partial = False

    def _handle_fetch_response(self, node: int, asked: Any, sent: float, answer: Any) -> None:
        del node, asked, sent
        self.held.append(answer)

    def fetched_records(self) -> tuple[dict[Any, Any], bool]:
        if not self.partial:
            self.held.clear()
        return {}, self.partial


@pytest.fixture
def heard() -> Heard:
    return Heard(wait_s=0.05)


@pytest.fixture
def fetcher(heard: Heard) -> Fetcher:
    made = Fetcher()
    heard.listen(SimpleNamespace(_fetcher=made))
    return made


def test_an_answer_counts_once_it_was_taken(heard: Heard, fetcher: Fetcher) -> None:
    fetcher._handle_fetch_response(0, {PLACE: 5}, time.monotonic(), ANSWER)
    assert fetcher.held == [ANSWER]
    assert not heard.all([PLACE])

    fetcher.fetched_records()

    assert heard.all([PLACE])


def test_an_answer_that_lay_there_for_long_tells_nothing_of_now(
    heard: Heard, fetcher: Fetcher
) -> None:
    fetcher._handle_fetch_response(0, {PLACE: 5}, time.monotonic() - 60.0, ANSWER)
    fetcher.fetched_records()
    fetcher._handle_fetch_response(0, {PLACE: 6}, time.monotonic(), ANSWER)  # while they are used

    assert not heard.all([PLACE])


def test_what_a_poll_left_for_the_next_is_not_heard(heard: Heard, fetcher: Fetcher) -> None:
    fetcher._handle_fetch_response(0, {PLACE: 5}, time.monotonic(), ANSWER)
    fetcher.partial = True
    fetcher.fetched_records()
    assert not heard.all([PLACE])

    fetcher.partial = False
    fetcher.fetched_records()

    assert heard.all([PLACE])


def test_one_without_the_expected_parts_counts_as_heard(heard: Heard) -> None:
    heard.listen(SimpleNamespace(_fetcher=object()))

    assert heard.all([PLACE])
