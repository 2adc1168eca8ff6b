from __future__ import annotations

import math

import numpy as np
import pytest

from tests.detectors.signals.frames import predictions, sampled
from watchkeeper.detectors.signals.latency import QUANTILES, Latency


@pytest.mark.parametrize("n", [1, 2, 100, 5_000])
def test_quantiles_are_within_one_per_cent(n: int) -> None:
    durations = np.random.default_rng(n).lognormal(-3, 1.5, n)

    found = sampled(Latency(), [predictions(n, duration_s=durations)])

    for target, q in QUANTILES.items():
        exact = np.quantile(durations, q, method="lower")
        assert found[target].value == pytest.approx(exact, rel=0.01 + 1e-9)
        assert found[target].n == n


def test_standard_error_is_that_of_repeated_windows() -> None:
    drawn = np.random.default_rng(1).lognormal(-3, 0.5, (400, 2_000))

    found = [sampled(Latency(), [predictions(2_000, duration_s=row)]) for row in drawn]

    for target in QUANTILES:
        between = float(np.std([each[target].value for each in found]))
        claimed = float(np.mean([each[target].stderr for each in found]))
        assert 0.7 < claimed / between < 1.5


def test_missing_and_infinite_durations_do_not_count() -> None:
    frame = predictions(4, duration_s=[math.nan, math.inf, 0.2, math.nan])

    assert sampled(Latency(), [frame])["p99"].n == 1


@pytest.mark.parametrize(("duration", "reported"), [(0.0, 1e-6), (1e308, 1e5)])
def test_extreme_durations_count_as_the_nearest_that_is_told_apart(
    duration: float, reported: float
) -> None:
    found = sampled(Latency(), [predictions(1, duration_s=[duration])])

    assert found["p50"].value == pytest.approx(reported, rel=0.03)


def test_without_durations_there_is_nothing_to_say() -> None:
    assert sampled(Latency(), [predictions(5)]) == {}
