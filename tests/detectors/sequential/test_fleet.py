"""One budget for many series and many models."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.sequential import averaged, e_bh, fleet_alarms, shared_threshold

EVIDENCE = st.lists(st.tuples(st.floats(0, 1e12), st.integers(0, 3)), min_size=1, max_size=40)


@given(EVIDENCE, st.permutations(range(40)))
def test_the_order_of_series_changes_nothing(
    series: list[tuple[float, int]], order: list[int]
) -> None:
    shuffled = [series[place] for place in order if place < len(series)]

    def of(given: list[tuple[float, int]]) -> list[float]:
        values, models = zip(*given, strict=True)
        return [float(each) for each in averaged(np.array(values), np.array(models), 4)]

    assert of(series) == of(shuffled) == of(series[::-1])


def test_weights_say_what_counts() -> None:
    evidence, model = np.array([8.0, 2.0, 5.0]), np.array([0, 0, 2])

    plain = averaged(evidence, model, 3)
    weighted = averaged(evidence, model, 3, np.array([1.0, 3.0, 1.0]))

    assert plain.tolist() == [5.0, 0.0, 5.0]
    assert weighted.tolist() == [3.5, 0.0, 5.0]


def test_one_model_must_pass_for_all_and_many_share_it() -> None:
    alone = np.array([3_000.0, 1.0, 1.0, 1.0])
    burst = np.array([1_200.0, 1_100.0, 1_500.0, 1.0])

    assert not fleet_alarms(alone, 1_000.0).any()
    assert (
        fleet_alarms(np.array([4_000.0, 1.0, 1.0, 1.0]), 1_000.0).tolist() == [True] + [False] * 3
    )
    assert fleet_alarms(burst, 800.0).tolist() == [True, True, True, False]
    assert shared_threshold(1_000.0, 4) == 4_000.0


def test_discoveries_are_false_as_seldom_as_asked_for_under_any_dependence() -> None:
    random, false = np.random.default_rng(1), 0.0
    for _ in range(2_000):
        common = random.exponential()  # e-values of no change, all the same
        found = e_bh(np.full(20, common), 0.1)
        false += float(found.any())

    assert false / 2_000 <= 0.1
    assert e_bh(np.empty(0), 0.1).tolist() == []
