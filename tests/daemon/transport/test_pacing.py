"""Fewer records at a time where they are dear, and all of them again where they are not."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from watchkeeper.daemon.transport.pacing import FEW, LEAST, LONG_S, SHORT_S, Pace

LIMIT = 20_000
WATCHDOG_S = 120.0

turns = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 100_000)),  # how many came; None: as many as may
        st.floats(0.0, 5_000.0),  # what the turn took
        st.floats(0.0, 5_000.0),  # what was waited meanwhile
    )
)


@dataclass
class Line:
    """Turns one after the other, by a clock of their own."""

    limit: int = LIMIT
    now: float = 1e6
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.limit, lambda: self.now)

    def turn(self, seconds: float, count: int | None = None, waited: float = 0.0) -> int:
        """One turn; says how many records there may be in the next."""
        given = self.pace.most if count is None else min(count, self.pace.most)
        self.pace.handed_out(given)
        self.now += seconds / 2
        with self.pace.not_counted():
            self.now += waited
        self.now += seconds / 2
        self.pace.worked_off()
        return self.pace.most

    def work(self, each_s: float, turns: int) -> list[float]:
        """Full turns of records that take so long each; gives how long each turn lasted."""
        took = []
        for _ in range(turns):
            took.append(each_s * self.pace.most)
            self.turn(took[-1])
        return took


@pytest.mark.parametrize("each_s", [1e-5, 5e-3, 0.1, 0.2, 1.0, 10.0])
def test_from_the_start_no_turn_lasts_long_however_dear_a_record(each_s: float) -> None:
    took = Line().work(each_s, 20)

    assert max(took) <= max(LONG_S, LEAST * each_s) < WATCHDOG_S
    assert took[-1] >= min(SHORT_S, LIMIT * each_s)


@pytest.mark.parametrize("each_s", [5e-3, 0.01, 0.1])
def test_records_that_become_dear_cost_one_long_turn(each_s: float) -> None:
    line = Line()
    line.work(1e-6, 12)

    assert line.pace.most == LIMIT
    assert max(line.work(each_s, 20)[1:]) <= LONG_S


def test_it_begins_low_and_soon_takes_all() -> None:
    line = Line()

    assert line.pace.most == LEAST
    assert [line.turn(0.05) for _ in range(3)] == [2 * LEAST, 4 * LEAST, 8 * LEAST]
    line.work(1e-6, 8)
    assert line.pace.most == LIMIT


def test_a_turn_of_fewer_than_there_might_be_does_not_raise_it() -> None:
    line = Line()

    assert [line.turn(0.001, count) for count in (0, 1, LEAST - 1)] == [LEAST] * 3


def test_a_turn_of_a_second_changes_nothing() -> None:
    assert Line().turn(1.0) == LEAST


def test_few_records_that_took_long_leave_as_few() -> None:
    line = Line()
    line.work(1e-6, 12)

    assert line.turn(10.0, count=300) == 30


def test_a_turn_without_records_says_nothing() -> None:
    line = Line()
    line.work(1e-6, 20)

    assert line.turn(1_000.0, count=0) == LIMIT


def test_what_was_waited_for_the_database_does_not_count() -> None:
    line = Line()

    assert line.turn(0.2, waited=600.0) == 2 * LEAST
    line.work(1e-6, 20)
    assert line.turn(4.0, waited=600.0) == LIMIT // 4


def test_waiting_before_anything_was_handed_out_counts_for_nothing() -> None:
    line = Line()
    line.work(1e-6, 20)
    with line.pace.not_counted():
        line.now += 100.0

    line.pace.worked_off()

    assert line.turn(4.0) == LIMIT // 4


@given(limit=st.integers(1, 100_000), some=turns)
def test_it_stays_within_its_bounds_and_recovers(
    limit: int, some: list[tuple[int | None, float, float]]
) -> None:
    line = Line(limit)
    for count, seconds, waited in some:
        assert min(LEAST, limit) <= line.turn(seconds, count, waited) <= limit

    line.work(1e-9, 18)

    assert line.pace.most == limit


@given(some=turns)
def test_only_a_full_and_quick_turn_raises_it(some: list[tuple[int | None, float, float]]) -> None:
    line = Line()
    for count, seconds, waited in some:
        before = line.pace.most
        raised = line.turn(seconds, count, waited) > before
        assert not raised or ((count is None or count >= before) and seconds < SHORT_S + 1e-6)


def test_few_at_a_time_are_told_once_and_so_is_the_end_of_it() -> None:
    line = Line()
    with capture_logs() as start:
        line.work(1e-6, 12)
    with capture_logs() as slow:
        line.work(5e-3, 50)
    with capture_logs() as quick:
        line.work(1e-6, 50)

    assert start == []
    assert [each["event"] for each in slow] == ["records take long: few are taken at a time"]
    assert slow[0]["records"] < FEW
    assert slow[0]["each_ms"] == 5.0
    assert [each["event"] for each in quick] == [
        "records are quick again: more are taken at a time"
    ]


def test_one_long_turn_is_not_told() -> None:
    line = Line()
    line.work(1e-6, 12)

    with capture_logs() as logs:
        line.turn(600.0)
        line.work(1e-6, 20)

    assert logs == []
