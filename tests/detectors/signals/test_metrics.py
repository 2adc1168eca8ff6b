from __future__ import annotations

import math

import numpy as np
import pytest

from tests.detectors.signals.frames import metrics, sampled
from watchkeeper.detectors.signals.metrics import OVERFLOW, TARGETS, Metrics


def test_mean_and_maximum_of_each_metric_and_host() -> None:
    frame = metrics(["cpu", "cpu", "ram", "cpu"], [1.0, 3.0, 7.0, 10.0], ["h", "h", None, "i"])

    found = sampled(Metrics(), [frame])

    assert set(found) == {"cpu@h", "cpu:max@h", "cpu@i", "cpu:max@i", "ram", "ram:max"}
    assert found["cpu@h"].value == 2.0
    assert found["cpu@h"].n == 2
    assert found["cpu:max@h"].value == pytest.approx(3.0, rel=0.008)
    assert found["ram"].value == 7.0


def test_the_mean_is_exact_where_adding_floats_is_not() -> None:
    values = [1e16, 1.0, -1e16, 1.0]

    found = sampled(Metrics(), [metrics(["x"] * 4, values)])

    assert sum(values) == 1.0
    assert found["x"].value == 0.5


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1.0, 1e9, 1e300])
def test_the_maximum_is_within_its_accuracy(scale: float, sign: float) -> None:
    values = sign * scale * np.random.default_rng(1).lognormal(0, 2, 500)

    found = sampled(Metrics(), [metrics(["x"] * 500, values.tolist())])

    assert found["x:max"].value == pytest.approx(float(values.max()), rel=0.008, abs=0)
    assert found["x"].value == pytest.approx(float(values.mean()), rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("values", "largest"),
    [([-4.0, 0.0], 0.0), ([0.0, 0.5, -9.0], 0.5), ([5e-324], 5e-324), ([-1.0, -64.0], -1.0)],
)
def test_the_maximum_over_signs(values: list[float], largest: float) -> None:
    found = sampled(Metrics(), [metrics(["x"] * len(values), values)])

    assert found["x:max"].value == pytest.approx(largest, rel=0.008, abs=0)


def test_measurements_that_are_no_numbers_do_not_count() -> None:
    found = sampled(Metrics(), [metrics(["x", "x", "y"], [math.nan, 2.0, math.inf])])

    assert found["x"].value == 2.0
    assert found["x"].n == 1
    assert "y" not in found


def test_too_many_metrics_are_only_counted() -> None:
    names = [f"m{i:03}" for i in range(TARGETS + 3)]

    found = sampled(Metrics(), [metrics(names * 2, [1.0] * len(names) * 2)])

    assert len(found) == 2 * TARGETS + 1
    assert found[OVERFLOW].value == found[OVERFLOW].n == 6
    assert names[TARGETS - 1] in found
    assert names[TARGETS] not in found
