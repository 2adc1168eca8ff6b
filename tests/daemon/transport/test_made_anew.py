"""A topic that is made anew is read once, whoever notices it first: the fetch or the metadata."""

from __future__ import annotations

import uuid
from typing import cast

import pytest
from kafka import TopicPartition

from watchkeeper.daemon.transport.assignment import Assignment
from watchkeeper.daemon.transport.kafka_member import KafkaMember
from watchkeeper.daemon.transport.kafka_positions import KafkaPositions
from watchkeeper.daemon.transport.kafka_repair import DataGap, begin_made_anew, resume_behind_gaps
from watchkeeper.daemon.transport.ports import Partition

HERE = Partition("t", 0)


class Metadata:
    """What the client knows of topics; another object at each refresh, as in the library."""

    def __init__(self) -> None:
        self._topic_ids: dict[str, uuid.UUID] = {}
        self.asked = 0

    def request_update(self) -> None:
        self.asked += 1

    def topic_id(self, name: str) -> uuid.UUID | None:
        return self._topic_ids.get(name)

    def refresh(self, topic: uuid.UUID) -> None:
        self._topic_ids = {HERE.topic: topic}


class Consumer:
    """Reads where it is told to."""

    def __init__(self) -> None:
        self._cluster = Metadata()
        self.at = -1

    def seek(self, spot: TopicPartition, offset: int) -> None:
        self.at = offset

    def committed(self, spot: TopicPartition, timeout_ms: int) -> None:
        """Nothing was."""


class Member:
    """A member of a group whose topics begin at 0 and are read from there."""

    def __init__(self) -> None:
        self.consumer = Consumer()
        self.assignment = Assignment()

    def default_offset(self, partition: Partition) -> int:
        return 0

    def beginning(self, partition: Partition) -> int:
        return 0


class Line:
    """One partition that has been read up to 1,000, of the `old` topic."""

    def __init__(self) -> None:
        self.old, self.new = uuid.uuid4(), uuid.uuid4()
        member = Member()
        self.consumer, self.metadata = member.consumer, member.consumer._cluster
        self.member = cast(KafkaMember, member)  # what is asked of it here is there
        self.positions = KafkaPositions(self.member)
        self.metadata.refresh(self.old)
        self.positions.begin(HERE, 1_000)
        assert self.positions.all_made_anew() == []

    def out_of_range(self) -> list[DataGap]:
        return resume_behind_gaps(self.member, self.positions, {HERE: self.positions[HERE]})

    def looked(self) -> list[DataGap]:
        return begin_made_anew(self.member, self.positions, self.positions.all_made_anew())


@pytest.fixture
def line() -> Line:
    return Line()


def test_a_topic_made_anew_that_the_fetch_meets_first_is_read_once(line: Line) -> None:
    assert line.out_of_range() == [DataGap("t", 0, 1_000, 0, "out of range")]
    assert line.looked() == []
    line.positions.passed(HERE, 4_999)

    line.metadata.refresh(line.new)

    assert line.looked() == []
    assert (line.positions[HERE], line.consumer.at) == (5_000, 0)


def test_another_one_behind_it_is_noticed(line: Line) -> None:
    line.out_of_range()
    line.metadata.refresh(line.new)
    assert line.looked() == []
    line.positions.passed(HERE, 4_999)

    line.metadata.refresh(uuid.uuid4())

    (gap,) = line.looked()
    assert gap == DataGap("t", 0, 5_000, 0, "of a topic that is gone", gap.topic_id)
    assert gap.topic_id not in ("", str(line.old), str(line.new))


def test_a_partition_begun_anew_meanwhile_is_read_once(line: Line) -> None:
    line.out_of_range()
    line.positions.passed(HERE, 4_999)
    line.positions.forget(HERE)
    line.positions.begin(HERE, 5_000)

    line.metadata.refresh(line.new)

    assert line.looked() == []
    assert line.positions[HERE] == 5_000


def test_what_another_member_read_of_the_new_topic_is_not_read_again(line: Line) -> None:
    line.positions.forget(HERE)
    line.metadata.refresh(line.new)

    line.positions.believe(HERE, str(line.new))

    assert not line.positions.made_anew(HERE)
    assert line.positions.topics == {HERE: str(line.new)}


def test_who_knows_an_older_topic_than_it_was_read_of_asks_before_it_begins(line: Line) -> None:
    line.positions.forget(HERE)

    line.positions.believe(HERE, str(line.new))
    before = [line.positions.settled(HERE), line.positions.settled(HERE)]
    asked = line.metadata.asked
    line.metadata.refresh(line.new)

    assert (before, asked) == ([False, False], 2)
    assert line.positions.settled(HERE)
    assert not line.positions.made_anew(HERE)


def test_a_topic_that_is_still_another_one_once_brokers_were_asked_is_made_anew(
    line: Line,
) -> None:
    line.positions.forget(HERE)
    line.metadata.refresh(line.new)

    line.positions.believe(HERE, str(line.old))
    before = line.positions.settled(HERE)
    line.metadata.refresh(line.new)

    assert not before
    assert line.positions.settled(HERE)
    assert line.positions.made_anew(HERE)


def test_a_topic_made_anew_while_nobody_read_is_noticed_at_the_first_look(line: Line) -> None:
    anew = KafkaPositions(line.member)
    line.metadata.refresh(line.new)

    anew.believe(HERE, str(line.old))

    assert anew.made_anew(HERE)


def test_of_which_topic_is_read_is_not_told_while_it_is_doubted(line: Line) -> None:
    assert line.positions.topics == {HERE: str(line.old)}
    line.out_of_range()
    assert line.positions.topics == {}

    line.metadata.refresh(line.new)
    line.looked()

    assert line.positions.topics == {HERE: str(line.new)}


def test_a_topic_that_lost_records_and_is_made_anew_later_is_noticed(line: Line) -> None:
    line.out_of_range()
    line.metadata.refresh(line.old)
    assert line.looked() == []

    line.metadata.refresh(line.new)

    assert [gap.reason for gap in line.looked()] == ["of a topic that is gone"]


def test_a_partition_without_a_stored_offset_is_begun_where_the_new_topic_begins(
    line: Line,
) -> None:
    line.member.default_offset = lambda partition: 1_000  # type: ignore[method-assign]
    line.positions.begin(HERE, line.positions.first(HERE))
    line.metadata.refresh(line.new)

    line.looked()

    assert line.positions.first(HERE) == 0


def test_metadata_that_tell_of_it_first_are_believed(line: Line) -> None:
    line.metadata.refresh(line.new)

    gap = DataGap("t", 0, 1_000, 0, "of a topic that is gone", str(line.new))
    assert line.out_of_range() == [gap]
    assert line.looked() == []
