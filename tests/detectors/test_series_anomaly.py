"""What a series never did."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detectors.streams import fired, samples
from watchkeeper.detectors.series_anomaly import SeriesAnomaly
from watchkeeper.detectors.types import FloatArray


def lively(seed: int, length: int = 800) -> FloatArray:
    return 100.0 + np.random.default_rng(seed).normal(size=length)


def test_one_incident_gives_one_finding() -> None:
    values = lively(1)
    values[600:640] += 60.0

    assert fired(SeriesAnomaly(threshold=2.0), samples(values)) == [600]


@pytest.mark.slow
def test_noise_alone_hardly_gives_any() -> None:
    found = [fired(SeriesAnomaly(memory=1_000), samples(lively(s, 2_000))) for s in range(3)]

    assert sum(map(len, found)) <= 30
    strict = [fired(SeriesAnomaly(memory=1_000, threshold=3.0), samples(lively(3, 2_000)))]
    assert sum(map(len, strict)) <= 1


def test_nothing_is_found_while_it_learns() -> None:
    values = lively(2, 110)
    values[100] = 1e6

    assert fired(SeriesAnomaly(), samples(values)) == []


@pytest.mark.parametrize(("direction", "count"), [("up", 1), ("down", 0), ("either", 1)])
def test_only_the_direction_that_matters_is_found(direction: str, count: int) -> None:
    values = lively(3)
    values[700] += 60.0

    detector = SeriesAnomaly(direction=direction, threshold=2.5)  # type: ignore[arg-type]

    assert len(fired(detector, samples(values))) == count


@pytest.mark.parametrize("seed", range(3))
def test_an_oddity_that_does_not_matter_hides_none_that_does(seed: int) -> None:
    values = lively(seed)
    values[600], values[650] = 40.0, 150.0

    assert fired(SeriesAnomaly(direction="up", threshold=2.0), samples(values)) == [650]


def test_an_oddity_while_it_learns_hides_none_later() -> None:
    values = lively(3, 300)
    values[110], values[150] = 140.0, 200.0

    assert fired(SeriesAnomaly(threshold=1.5), samples(values)) == [150]


def test_the_finding_says_what_it_came_from() -> None:
    values = lively(4)
    values[700] = 160.0

    finding = SeriesAnomaly(threshold=2.5).update(samples(values))[-1]

    assert finding.value == 160.0
    assert finding.expected == pytest.approx(100.0, abs=1.0)
    assert finding.direction == "up"


def test_the_level_is_high_while_it_is_odd() -> None:
    calm, odd = SeriesAnomaly(), SeriesAnomaly()
    values = lively(5)
    calm.update(samples(values))
    values[770:] += np.arange(30) * 5.0
    odd.update(samples(values))

    assert odd.oddness > 3 * calm.oddness
