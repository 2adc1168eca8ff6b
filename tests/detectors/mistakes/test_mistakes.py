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
        ("a:scale", [("a:mean",)]),
        ("a:replaced", [("a:missing", "schema:new_features")]),
        ("a:type", [("a:missing", "schema:other_types")]),
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


def test_one_bin_beyond_the_reference_may_hold_values_that_vary() -> None:
    lone = Seen(on("x:histogram"), 1.0, np.array([0, 0, 120]), np.array([40, 40, 40]))

    assert targets(lone, Seen(on("x:out_of_range"))) == []
    assert targets(lone, Seen(on("x:unseen"))) == []
    assert targets(lone, Seen(on("y:unseen"))) == ["x:constant"]


def test_a_mean_that_is_not_well_known_may_be_farther_from_a_factor() -> None:
    # 1,000 times what it was, of 25 values whose standard deviation is half their mean
    known = mean("wait", 2.0, 1_780.0, sd=1.0)
    score = (1_780.0 - 2.0) / (1.0 / 5.0)

    noisy = known._replace(finding=replace(known.finding, statistic=score))
    exact = known._replace(finding=replace(known.finding, statistic=100 * score))

    assert targets(noisy) == ["wait:unit"]
    assert targets(exact) == []


@pytest.mark.parametrize(
    ("value", "counts", "found"),
    [
        (370.0, [0, 0, 120], ["x:scale"]),
        (0.27, [120, 0, 0], ["x:scale"]),
        (370.0, [40, 40, 40], []),  # a few values that are very far out
        (37.0, [0, 0, 120], []),
        (-370.0, [120, 0, 0], []),
    ],
)
def test_a_factor_between_no_units_is_another_scale_where_all_values_moved(
    value: float, counts: list[int], found: list[str]
) -> None:
    moved = replace(mean("x", 10.0, value).finding, statistic=1e6)
    seen = Seen(on("x:histogram"), 1.0, np.array(counts), np.array([40, 40, 40]))
    outside = Seen(on("x:out_of_range"))

    assert targets(Seen(moved, 1.0), seen, outside) == found


@pytest.mark.parametrize(
    ("missing", "types", "found"),
    [
        (1.0, 1.0, ["x:type"]),
        (0.2, 0.2, ["x:type"]),
        (0.2, 0.6, ["x:type"]),  # the others had been missing before
        (0.6, 0.2, []),
        (1.0, None, ["x:replaced"]),
    ],
)
def test_a_feature_came_as_another_type_where_as_many_events_have_one(
    missing: float, types: float | None, found: list[str]
) -> None:
    seen = [Seen(on("x:missing", missing)), Seen(on("schema:new_features", missing))]
    if types is not None:
        seen.append(Seen(on("schema:other_types", types)))

    assert targets(*seen) == found


def test_of_several_missing_features_those_came_as_another_type_that_are_as_often() -> None:
    seen = [Seen(on("a:missing", 0.2)), Seen(on("b:missing", 0.6))]

    assert targets(*seen, Seen(on("schema:other_types", 0.6))) == ["b:type"]
