"""Nobody can make more series than there may be, and what is left out is counted."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter

from watchkeeper.daemon.reporting.limits import Limits


@pytest.fixture
def dropped() -> Counter:
    return Counter("dropped", "Left out.", ["limit"], registry=CollectorRegistry())


def left_out(dropped: Counter, limit: str) -> float:
    (family,) = dropped.collect()
    return sum(
        s.value for s in family.samples if s.name == "dropped_total" and s.labels["limit"] == limit
    )


def test_the_first_models_stay_shown(dropped: Counter) -> None:
    limits = Limits(2, 1, dropped)

    shown = [limits.admit(model) for model in "abcab"]

    assert shown == [True, True, False, True, True]
    assert left_out(dropped, "model") == 1


def test_each_model_has_so_many_targets_of_its_own(dropped: Counter) -> None:
    limits = Limits(9, 2, dropped)
    asked = [("a", "x"), ("a", "y"), ("a", "z"), ("b", "z"), ("a", "x")]

    shown = [limits.admit_target(model, "psi", target) for model, target in asked]

    assert shown == [True, True, False, True, True]
    assert left_out(dropped, "target") == 1


def test_the_places_of_those_that_went_are_given_to_others(dropped: Counter) -> None:
    limits = Limits(2, 1, dropped)
    for model in "ab":
        limits.admit(model)
        limits.admit_target(model, "psi", "x")

    limits.keep_only({"b", "z"})
    limits.free_target("b", "psi", "x")

    assert [limits.admit(model) for model in "bca"] == [True, True, False]
    assert limits.admit_target("b", "psi", "y")
    assert left_out(dropped, "target") == 0


def test_a_model_can_stay_shown_without_its_targets(dropped: Counter) -> None:
    limits = Limits(2, 1, dropped)
    for model in "ab":
        limits.admit(model)
        limits.admit_target(model, "psi", "x")

    limits.keep_only({"b"}, {"a"})

    assert [limits.admit(model) for model in "abc"] == [True, True, False]
    assert limits.admit_target("a", "psi", "y")
    assert not limits.admit_target("b", "psi", "y")


def test_all_places_of_a_models_targets_can_be_freed(dropped: Counter) -> None:
    limits = Limits(2, 1, dropped)
    limits.admit_target("a", "psi", "x")
    limits.admit_target("b", "psi", "x")

    limits.free("a")

    assert limits.admit_target("a", "psi", "y")
    assert not limits.admit_target("b", "psi", "y")
