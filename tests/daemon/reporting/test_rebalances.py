"""Many rebalances in a while are unrest, a few are none."""

from __future__ import annotations

from watchkeeper.daemon.reporting.rebalances import MANY, WHILE_S, Rebalances


def test_a_rolling_restart_is_no_unrest() -> None:
    rebalances = Rebalances()
    for member in range(MANY):
        rebalances.note(10.0 * member)

    assert rebalances.unrest_s(10.0 * MANY) == 0.0


def test_unrest_lasts_as_long_as_there_are_too_many() -> None:
    rebalances = Rebalances()
    times = [10.0 * i for i in range(MANY + 1)]
    for at in times:
        rebalances.note(at)

    assert rebalances.unrest_s(times[-1]) == times[-1]
    assert rebalances.unrest_s(WHILE_S) == WHILE_S
    assert rebalances.unrest_s(WHILE_S + 1.0) == 0.0


def test_what_is_given_up_and_what_comes_instead_are_one() -> None:
    rebalances = Rebalances()

    assert [rebalances.note(at) for at in (5.0, 5.5, 6.0, 9.0)] == [True, False, False, True]
