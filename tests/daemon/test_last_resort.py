"""Pages of last resort are posted beside the loop, and once an outage."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.patience import patient
from watchkeeper.daemon.last_resort import LastResort
from watchkeeper.daemon.storage.outbox import OK, Delivery

WAIT_S = patient(10.0)


class Slow:
    """Somebody to tell whose answer takes until `answer` is set."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.threads: set[int] = set()
        self.answer = threading.Event()
        self.delivery = OK

    def __call__(self, message: str, reason: str) -> Delivery:
        self.said.append(reason)
        self.threads.add(threading.get_ident())
        assert self.answer.wait(WAIT_S)
        return self.delivery


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.answer.set()


def test_nobody_waits_for_an_answer_that_takes_long(slow: Slow) -> None:
    resort = LastResort(slow, "it is away")

    for second in range(0, 600, 10):
        resort(float(second), f"for {second} s")
    on_the_way = resort._page is not None and resort._page.is_alive()
    slow.answer.set()
    resort.finish(WAIT_S)

    assert on_the_way
    assert slow.said == ["for 120 s"]
    assert threading.get_ident() not in slow.threads


def test_one_that_failed_is_tried_again_once_that_is_known(slow: Slow) -> None:
    slow.delivery = Delivery("retry", "HTTP 503")
    resort = LastResort(slow, "it is away")
    resort(0.0, "")
    resort(120.0, "first")
    slow.answer.set()
    resort.finish(WAIT_S)

    resort(179.0, "too soon")
    resort(180.0, "second")
    resort.finish(WAIT_S)

    assert slow.said == ["first", "second"]


def test_a_page_of_the_outage_before_does_not_hold_up_the_next(slow: Slow) -> None:
    slow.delivery = Delivery("retry", "HTTP 503")
    resort = LastResort(slow, "it is away")
    resort(0.0, "")
    resort(5_000.0, "before")
    resort(0.0, "")
    slow.answer.set()
    resort.finish(WAIT_S)

    resort(1.0, "too soon")
    resort(120.0, "next")
    resort.finish(WAIT_S)

    assert slow.said == ["before", "next"]
