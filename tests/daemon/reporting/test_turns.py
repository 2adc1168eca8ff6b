"""What turns tell is what a reader of the page finds, as it was when it was read."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from watchkeeper.daemon.reporting.turns import Turns
from watchkeeper.daemon.transport.ports import Partition

FIRST, SECOND = Partition("predictions", 0), Partition("predictions", 1)


class Page:
    """A registry that has nothing but turns."""

    def __init__(self) -> None:
        self.turns = Turns(("poll", "commit"))
        self.registry = CollectorRegistry()
        self.registry.register(self.turns)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"watchkeeper_{name}", labels)

    def lag(self, partition: Partition) -> float | None:
        topic, number = partition
        return self.value("consumer_lag_records", topic=topic, partition=str(number))

    def took(self, stage: str, le: str) -> float | None:
        return self.value("stage_duration_seconds_bucket", stage=stage, le=le)


@pytest.fixture
def page() -> Page:
    return Page()


def test_records_are_added_up_and_what_waits_is_the_newest(page: Page) -> None:
    page.turns.polled({"predictions": 3, "labels": 1}, {FIRST: 5, SECOND: 2})
    page.turns.polled({"predictions": 4}, {FIRST: 0, SECOND: 7})

    assert page.value("events_total", topic="predictions") == 7
    assert page.value("events_total", topic="labels") == 1
    assert (page.lag(FIRST), page.lag(SECOND)) == (0, 7)


def test_nothing_is_known_of_partitions_that_left(page: Page) -> None:
    page.turns.polled({}, {FIRST: 5, SECOND: 2})

    page.turns.released([FIRST, Partition("never read", 0)])

    assert (page.lag(FIRST), page.lag(SECOND)) == (None, 2)


def test_a_topic_that_brought_nothing_keeps_its_age(page: Page) -> None:
    page.turns.progress(100.0, {"predictions": 0.5, "labels": 8.0})
    page.turns.progress(101.0, {"predictions": 0.25})

    assert page.value("watermark_timestamp_seconds") == 101.0
    assert page.value("event_lag_seconds", topic="predictions") == 0.25
    assert page.value("event_lag_seconds", topic="labels") == 8.0


def test_a_stage_counts_in_all_buckets_that_are_as_long_or_longer(page: Page) -> None:
    for seconds in (0.0005, 0.001, 0.002, 10.0, 11.0):
        page.turns.spent("poll", seconds)

    assert page.took("poll", "0.001") == 2
    assert page.took("poll", "0.003") == page.took("poll", "3.0") == 3
    assert page.took("poll", "10.0") == 4
    assert page.took("poll", "+Inf") == 5
    assert page.value("stage_duration_seconds_count", stage="poll") == 5
    assert page.value("stage_duration_seconds_sum", stage="poll") == pytest.approx(21.0035)
    assert page.value("stage_duration_seconds_count", stage="commit") == 0


def test_its_names_are_taken_in_a_registry(page: Page) -> None:
    with pytest.raises(ValueError, match="Duplicated"):
        page.registry.register(Turns(()))
