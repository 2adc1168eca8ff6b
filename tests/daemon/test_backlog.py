"""A view is stale when too much waits, or anything for too long."""

from __future__ import annotations

from watchkeeper.daemon.backlog import BEHIND_EVENTS, BEHIND_S, Backlog


def test_too_many_waiting_records_make_the_view_stale_at_once() -> None:
    backlog = Backlog()

    assert backlog.stale_since(0, BEHIND_EVENTS, 10.0) is None
    assert backlog.stale_since(0, BEHIND_EVENTS + 1, 11.0) == 11.0
    assert backlog.stale_since(500, BEHIND_EVENTS + 1, 12.0) == 11.0
    assert backlog.stale_since(500, BEHIND_EVENTS, 13.0) is None


def test_a_few_records_that_wait_for_long_make_it_stale_too() -> None:
    backlog = Backlog()

    assert backlog.stale_since(0, 5, 10.0) is None
    assert backlog.stale_since(2, 3, 10.0 + BEHIND_S) is None
    assert backlog.stale_since(0, 3, 11.0 + BEHIND_S) == 10.0
    assert backlog.stale_since(3, 0, 12.0 + BEHIND_S) is None


def test_steady_traffic_of_which_something_always_waits_is_no_staleness() -> None:
    backlog = Backlog()

    found = {backlog.stale_since(1_000, 800, float(second)) for second in range(1_000)}

    assert found == {None}


def test_reading_slower_than_records_come_is_found_out() -> None:
    backlog = Backlog()

    found = [backlog.stale_since(90, 10 * second, float(second)) for second in range(1, 4_000)]

    assert found[100] is None
    assert found[-1] is not None
