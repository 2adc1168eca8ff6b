"""What steps counted is added up by the models' names, whatever their rows are."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from watchkeeper.daemon.core.counting import Counted, Counts, Happened
from watchkeeper.daemon.reporting.sums import Sums
from watchkeeper.detectors.types import ObjectArray


def names(*given: str | None) -> ObjectArray:
    return np.array(given, dtype=np.object_)


def predictions(names: ObjectArray, *n: int) -> Counted:
    """So many predictions of the models of the first rows."""
    counts = np.zeros((len(Happened), len(n)), dtype=np.int64)
    counts[Happened.PREDICTIONS] = n
    return Counted(names, np.arange(len(n)), counts)


@pytest.fixture
def sums() -> Sums:
    return Sums()


def test_steps_are_added_up_until_they_are_taken(sums: Sums) -> None:
    known = names("a", "b", None)
    sums.add(predictions(known, 1))
    sums.add(predictions(known, 2, 5))

    taken, again = sums.take(), sums.take()

    assert taken == {"a": Counts(3), "b": Counts(5)}
    assert again == {}


def test_a_row_that_got_another_name_counts_for_both(sums: Sums) -> None:
    sums.add(predictions(names("a", "b"), 1, 2))
    sums.add(predictions(names("c", "b"), 10, 20))
    sums.add(predictions(names("a", "d"), 100, 200))

    assert sums.take() == {"a": Counts(101), "b": Counts(22), "c": Counts(10), "d": Counts(200)}


def test_a_step_in_which_nothing_happened_changes_nothing(sums: Sums) -> None:
    known = names("a")
    sums.add(predictions(known, 1))
    sums.add(Counted.nothing())
    sums.add(predictions(known, 1))

    assert sums.take() == {"a": Counts(2)}


def test_nothing_is_lost_where_they_are_taken_meanwhile(sums: Sums) -> None:
    known, found = names("a", "b"), []

    def add() -> None:
        for _ in range(2_000):
            sums.add(predictions(known, 1, 2))

    adding = threading.Thread(target=add)

    adding.start()
    while adding.is_alive():
        found.append(sums.take())
    found.append(sums.take())

    assert Counted.together(found) == {"a": Counts(2_000), "b": Counts(4_000)}
