"""A set of models is one set, however they were put in."""

from __future__ import annotations

import numpy as np
import pytest

from watchkeeper.daemon.core.model_set import ModelSet
from watchkeeper.detectors.types import IntArray, ObjectArray


def named(*names: str | None) -> ObjectArray:
    array = np.empty(len(names), dtype=np.object_)
    array[:] = names
    return array


def rows(*numbers: int) -> IntArray:
    return np.array(numbers, dtype=np.int64)


NAMES = named("a", "b", "c", None)


def test_marked_and_named_models_are_one_set() -> None:
    some = ModelSet(["b", "x"])

    some.mark(rows(0, 1, 1), NAMES)

    assert set(some) == {"a", "b", "x"}
    assert len(some) == 3
    assert "a" in some
    assert "c" not in some


def test_an_empty_set_is_false_and_a_marked_one_is_not() -> None:
    some = ModelSet()
    assert not some

    some.mark(rows(2), NAMES)

    assert some


def test_marks_keep_their_names_when_rows_get_others() -> None:
    some = ModelSet()
    some.mark(rows(0), NAMES)

    some.mark(rows(0), named("z", "b"))

    assert set(some) == {"a", "z"}


@pytest.mark.parametrize("other", [NAMES, named("k", "l", "m")])
def test_a_set_takes_in_another(other: ObjectArray) -> None:
    some, more = ModelSet(["x"]), ModelSet(["y"])
    some.mark(rows(0), NAMES)
    more.mark(rows(2), other)

    some.update(more)

    assert set(some) == {"x", "a", "y", other[2]}


def test_a_set_that_was_empty_takes_in_another_and_stays_apart() -> None:
    some, more = ModelSet(), ModelSet()
    more.mark(rows(1), NAMES)
    some.update(more)

    some.mark(rows(2), NAMES)

    assert set(some) == {"b", "c"}
    assert set(more) == {"b"}


@pytest.mark.parametrize("other", [NAMES, named("c", "a")])
def test_what_another_set_has_is_taken_away(other: ObjectArray) -> None:
    some, less = ModelSet(), ModelSet(["b"])
    some.mark(rows(0, 1, 2), NAMES)
    less.mark(np.flatnonzero(other == "c"), other)

    assert set(some - less) == {"a"}
    assert set(some - {"a"}) == {"b", "c"}


def test_a_named_model_is_taken_away_by_its_mark() -> None:
    some, less = ModelSet(["a", "x"]), ModelSet()
    some.mark(rows(1), NAMES)
    less.mark(rows(0), NAMES)

    assert set(some - less) == {"b", "x"}


def test_rows_are_told_once_and_in_order() -> None:
    some = ModelSet(["c", "b"])
    some.mark(rows(1, 0), NAMES)

    found = some.rows({"a": 0, "b": 1, "c": 2}.__getitem__)

    assert found.tolist() == [0, 1, 2]


def test_a_model_is_discarded_however_it_was_put_in() -> None:
    some = ModelSet(["x", "a"])
    some.mark(rows(0, 1), NAMES)

    some.discard("a")
    some.discard("x")
    some.discard("never there")

    assert set(some) == {"b"}
