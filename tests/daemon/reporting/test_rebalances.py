"""Many rebalances in a while are unrest, a few are none."""

from __future__ import annotations

from watchkeeper.daemon.reporting.rebalances import FEW, MANY, WHILE_S, Rebalances


def unrest(times: list[float]) -> list[float]:
    """For how long there has been unrest, after each rebalance."""
    rebalances, found = Rebalances(), []
    for at in times:
        rebalances.note(at)
        found.append(rebalances.unrest_s(at))
    return found


def test_a_rolling_restart_of_five_others_is_no_unrest() -> None:
    times = [start + more for start in range(0, 500, 100) for more in (0.0, 15.0)]

    assert not any(unrest([float(at) for at in times]))


def test_unrest_begins_with_one_too_many_and_ends_with_few() -> None:
    often = [20.0 * i for i in range(MANY + 1)]
    seldom = [often[-1] + (WHILE_S / FEW + 1.0) * i for i in range(1, 13)]

    found = unrest([*often, *seldom])

    assert not any(found[:MANY])
    assert found[MANY] == often[-1]
    calm = found.index(0.0, MANY)
    assert found[calm:] == [0.0] * len(found[calm:])


def test_unrest_that_goes_on_is_one() -> None:
    found = unrest([50.0 * i for i in range(300)])

    assert 0.0 not in found[MANY:]
    assert found[-1] == 50.0 * 299


def test_what_is_given_up_and_what_comes_instead_are_one() -> None:
    rebalances = Rebalances()

    assert [rebalances.note(at) for at in (5.0, 9.0, 14.0, 25.0)] == [True, False, False, True]
