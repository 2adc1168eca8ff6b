"""Events are counted by rows, and told by names."""

from __future__ import annotations

import numpy as np

from watchkeeper.daemon.core.counting import Counted, Counting, Counts, Happened
from watchkeeper.detectors.types import IntArray, ObjectArray

NAMES: ObjectArray = np.array(["a", "b", "c", None], dtype=np.object_)


def rows(*numbers: int) -> IntArray:
    return np.array(numbers, dtype=np.int64)


def test_what_was_counted_is_told_once() -> None:
    counting = Counting()
    counting.add(Happened.PREDICTIONS, rows(2, 0, 2))
    counting.add_to(Happened.LATE, 0, 5)

    told, again = counting.told(NAMES), counting.told(NAMES)

    assert told == {"a": Counts(predictions=1, late=5), "c": Counts(predictions=2)}
    assert again == {}


def test_each_thing_that_happens_has_its_field() -> None:
    counting = Counting()
    for what in Happened:
        counting.add_to(what, 1, 10 + what)

    told = counting.told(NAMES)["b"]

    assert told == Counts(10, 11, 12, 13, 14, 15)
    assert [getattr(told, what.name.lower()) - 10 for what in Happened] == list(Happened)


def test_counts_that_were_told_stay_as_they_are() -> None:
    counting = Counting()
    counting.add(Happened.LABELS, rows(0))
    told = counting.told(NAMES)

    counting.add(Happened.LABELS, rows(0, 0))

    assert told["a"].labels == 1
    assert counting.told(NAMES)["a"].labels == 2


def test_steps_are_added_up_by_names() -> None:
    one = Counted.of({"a": Counts(predictions=1), "b": Counts(late=2)})
    other = Counted.of({"b": Counts(late=3, joined=1)})

    assert Counted.together([one, Counted.nothing(), other]) == {
        "a": Counts(predictions=1),
        "b": Counts(late=5, joined=1),
    }


def test_models_of_which_there_is_nothing_to_tell_are_left_out() -> None:
    counted = Counted(NAMES, rows(0, 1, 3), np.array([[0, 2, 0]] * len(Happened)))

    assert list(counted.condensed()) == ["b"]
