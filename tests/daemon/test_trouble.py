"""What keeps a source from reading is said, and not too often."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from watchkeeper.daemon.transport.kafka_repair import DataGap
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySource
from watchkeeper.daemon.transport.quarantine import QuarantinedRange
from watchkeeper.daemon.trouble import SAY_AGAIN_S, Networked, Trouble

T0 = 1_790_000_000.0


class Cable(MemorySource):
    """A source that can be cut off."""

    def __init__(self, broker: MemoryBroker | None = None, topics: tuple[str, ...] = ()) -> None:
        super().__init__(broker or MemoryBroker(), topics)
        self.trouble: str | None = None
        self.cut_off: str | None = None
        self.quarantined: list[QuarantinedRange] = []
        self.gaps: list[DataGap] = []

    def take_quarantined(self) -> list[QuarantinedRange]:
        taken, self.quarantined = self.quarantined, []
        return taken

    def take_gaps(self) -> list[DataGap]:
        taken, self.gaps = self.gaps, []
        return taken


@dataclass
class Line:
    """A source over time, with what was logged of it: (seconds since T0, the line)."""

    source: Cable = field(default_factory=Cable)
    said: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trouble = Trouble(self.source)

    def at(self, second: float, trouble: str | None, cut_off: bool = True) -> None:
        self.source.trouble, self.source.cut_off = trouble, trouble if cut_off else None
        with capture_logs() as lines:
            self.trouble.look(T0 + second)
        self.said += [(second, line["event"]) for line in lines]


@pytest.fixture
def line() -> Line:
    return Line()


def test_trouble_is_said_at_once_and_then_once_a_minute(line: Line) -> None:
    for second in range(0, 150):
        line.at(float(second), f"no broker, try {second}")

    assert [second for second, _ in line.said] == [0.0, SAY_AGAIN_S, 2 * SAY_AGAIN_S]
    assert line.trouble.text == "no broker, try 149 (since 2026-09-21T14:13:20Z, trying again)"


def test_the_end_of_trouble_is_said(line: Line) -> None:
    line.at(0.0, "no broker")
    line.at(5.0, None)
    line.at(6.0, None)

    assert line.said == [(0.0, "cannot read: trying again"), (5.0, "reading again")]
    assert line.trouble.text == ""


def test_how_long_it_lasts_is_told_by_a_clock_that_nobody_sets(line: Line) -> None:
    told: list[tuple[float, str]] = []
    steady = iter([5.0, 5.0, 130.0, 131.0])
    line.trouble.told = lambda seconds, reason: told.append((seconds, reason))
    line.trouble.steady = lambda: next(steady)

    line.at(0.0, None)
    line.at(1.0, "no broker")
    line.at(-3_600.0, "no broker, try 2")
    line.at(2.0, "no broker, try 3")
    line.at(3.0, None)
    line.at(4.0, None)

    assert told == [
        (0.0, "no broker"), (125.0, "no broker, try 2"), (126.0, "no broker, try 3"), (0.0, "")
    ]  # fmt: skip


def test_of_a_topic_that_is_missing_nobody_is_told_that_nothing_can_be_read(line: Line) -> None:
    told: list[tuple[float, str]] = []
    steady = iter([5.0, 5.0])
    line.trouble.told = lambda seconds, reason: told.append((seconds, reason))
    line.trouble.steady = lambda: next(steady)

    line.at(0.0, "topic commands does not exist", cut_off=False)
    line.at(200.0, "topic commands does not exist", cut_off=False)
    line.at(201.0, "no broker")
    line.at(202.0, "topic commands does not exist", cut_off=False)
    line.at(203.0, None)

    assert told == [(0.0, "no broker"), (0.0, "")]
    assert [what for _, what in line.said].count("cannot read: trying again") == 2
    assert line.said[-1] == (203.0, "reading again")


def test_trouble_that_comes_and_goes_does_not_fill_the_log(line: Line) -> None:
    for second in range(59):
        line.at(float(second), "no broker" if second % 2 else None)

    assert [what for _, what in line.said] == ["cannot read: trying again", "reading again"]


def test_a_range_that_was_passed_over_is_one_letter(line: Line) -> None:
    line.source.quarantined.append(QuarantinedRange("predictions", 1, 5, 9, "CorruptRecord"))
    line.source.gaps.append(DataGap("labels", 0, 3, 8, "out of range"))

    bad, gap = line.trouble.look(T0)

    assert (bad.record.topic, bad.record.partition, bad.record.offset) == ("predictions", 1, 5)
    assert (bad.reason, bad.record.value) == ("quarantined_range", None)
    assert bad.message == "records 5 to 8, 4 at most, cannot be read: CorruptRecord"
    assert (gap.record.offset, gap.reason) == (3, "data_gap")
    assert gap.message == (
        "offset 3 is out of range, reading went on at 8: up to 5 records were lost"
    )
    assert line.trouble.look(T0) == []


def test_how_much_a_topic_made_anew_has_lost_is_not_guessed(line: Line) -> None:
    line.source.gaps.append(DataGap("labels", 0, 8, 0, "of a topic that is gone"))
    line.source.gaps.append(DataGap("labels", 1, 8, 2, "out of range"))

    said = [each.message for each in line.trouble.look(T0)]

    assert all(each.endswith("how many records were lost is not known") for each in said)


def test_what_topics_of_one_name_have_lost_is_told_apart(line: Line) -> None:
    for topic_id in ("", "first", "second"):
        gap = DataGap("labels", 0, 8, 0, "of a topic that is gone", topic_id)
        line.source.gaps.append(gap)
        line.source.quarantined.append(QuarantinedRange("labels", 0, 5, 9, "Bad", topic_id))

    said = [each.message for each in line.trouble.look(T0)]

    assert len(set(said)) == 6
    assert said[-1].endswith("(topic id second)")


def test_a_source_in_memory_has_nothing_to_say() -> None:
    source = MemorySource(MemoryBroker(), [])

    assert not isinstance(source, Networked)
    assert Trouble(source).look(T0) == []
