"""What findings on features tell of upstream, and what they do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from tests.detectors.mistakes.test_columns import moved
from watchkeeper.detectors.mistakes.mistakes import Seen, mistakes, needed
from watchkeeper.detectors.types import Finding, Series, Severity


def mean(name: str, expected: float, value: float, sd: float = 1.0) -> Seen:
    return Seen(moved(name, expected, value), sd)


def on(target: str, value: float = 1.0) -> Finding:
    return replace(moved("x", 0.0, value), series=Series("m", "1", "features", target))


def targets(*seen: Seen) -> list[str]:
    return [finding.series.target for finding in mistakes(seen)]


def test_columns_that_changed_places_are_no_other_units() -> None:
    assert targets(mean("cm", 170, 1.7), mean("m", 1.7, 170)) == ["cm and m:swapped"]


def test_a_finding_is_as_the_one_that_shows_it_and_opens_an_incident() -> None:
    base = mean("height", 1.7, 170.0)

    (found,) = mistakes([base])

    assert found.severity is Severity.WARNING
    assert (found.series.target, found.detector) == ("height:unit", "mistakes")
    assert (found.value, found.expected, found.since) == (170.0, 1.7, base.finding.since)


def test_what_is_not_sure_enough_for_the_budget_only_explains() -> None:
    (found,) = mistakes([mean("height", 1.7, 170.0)], sure=9.5)
    (pair,) = mistakes([mean("cm", 170, 1.7), mean("m", 1.7, 170)], sure=9.5)

    assert (found.severity, pair.severity) == (Severity.INFO, Severity.INFO)


def test_what_opens_an_incident_itself_is_sure_enough() -> None:
    base = mean("height", 1.7, 170.0)
    warned = base._replace(finding=replace(base.finding, severity=Severity.WARNING))

    (found,) = mistakes([warned], sure=9.5)

    assert found.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("target", "needs"),
    [
        ("a:b:unit", [("a:b:mean",)]),
        ("a:constant", [("a:histogram",)]),
        ("a:replaced", [("a:missing", "schema:new_features")]),
        ("a and b:swapped", [("a:mean", "b:mean")]),
        ("a and b and c:swapped", [("a:mean", "b and c:mean"), ("a and b:mean", "c:mean")]),
    ],
)
def test_what_has_to_be_judged_to_know_that_it_is_over(
    target: str, needs: list[tuple[str, ...]]
) -> None:
    assert needed(target) == needs


def test_means_around_zero_say_nothing_of_units() -> None:
    assert targets(mean("z", 0.02, 2.0, sd=1.0)) == []
    assert targets(mean("z", 0.02, 2.0, sd=math.nan)) == []


def test_a_small_factor_is_drift() -> None:
    assert targets(mean("height", 2.0, 2.0 * 2.54)) == []


def test_columns_that_were_alike_have_not_changed_places() -> None:
    assert targets(mean("a", 0.1, 0.4), mean("b", 0.4, 0.1)) == []


def test_where_most_columns_moved_a_few_look_like_mistakes_by_chance() -> None:
    others = [mean(f"f{i}", 10.0, 10.0 + 0.77 * i) for i in range(2, 8)]

    assert targets(mean("height", 1.7, 170.0), *others) == []


@pytest.mark.parametrize(
    ("counts", "usual", "found"),
    [
        ([0, 120, 0], [40, 40, 40], ["x:constant"]),
        ([0, 119, 1], [40, 40, 40], []),
        ([0, 120, 0], [10, 100, 10], []),
        ([0, 0, 0], [40, 40, 40], []),
        ([0, 120, 0], [0, 0, 0], []),
    ],
)
def test_a_feature_in_one_bin_that_had_several_does_not_vary(
    counts: list[int], usual: list[int], found: list[str]
) -> None:
    assert targets(Seen(on("x:histogram"), 1.0, np.array(counts), np.array(usual))) == found


@pytest.mark.parametrize(
    ("missing", "new", "found"),
    [(1.0, 1.0, ["x:replaced"]), (1.0, 0.5, []), (0.6, 1.0, []), (1.0, None, [])],
)
def test_a_feature_is_replaced_where_as_many_events_have_a_new_one(
    missing: float, new: float | None, found: list[str]
) -> None:
    seen = [Seen(on("x:missing", missing))]
    if new is not None:
        seen.append(Seen(on("schema:new_features", new)))

    assert targets(*seen) == found
