"""One budget for many series."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.sequential.averages import averaged

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


def test_a_model_has_the_mean_of_its_series_and_nothing_without_any() -> None:
    evidence, model = np.array([8.0, 2.0, 5.0]), np.array([0, 0, 2])

    assert averaged(evidence, model, 4).tolist() == [5.0, 0.0, 5.0, 0.0]
