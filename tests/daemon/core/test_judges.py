"""Detectors that are kept as objects."""

from __future__ import annotations

import msgspec
import pytest

from tests.playbook import MODEL, Play
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.protocols import Levelled
from watchkeeper.detectors.registry import detector_names, make
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import Series, Severity

SLOW = Watch(signal="latency", target="p95", detector="series_anomaly")
LEVEL = Series(MODEL, "v1", "latency", "p95"), "series_anomaly"


def play() -> Play:
    made = Play()
    made.policy = msgspec.structs.replace(made.policy, watches=(*DEFAULT_WATCHES, SLOW))
    return made


@pytest.mark.slow
def test_the_level_of_a_series_is_told_all_the_time_and_is_high_while_it_is_odd() -> None:
    odd = play()

    odd.traffic(150)
    calm = odd.steps[-1].levels
    odd.traffic(10, slow=3.0)

    assert set(calm) == {LEVEL}
    assert odd.steps[-1].levels[LEVEL] > 3 * calm[LEVEL] > 0


@pytest.mark.parametrize("name", detector_names())
def test_no_other_detector_is_taken_for_one_that_has_a_level(name: str) -> None:
    assert isinstance(make(name, {}, Severity.WARNING), Levelled) is (name == "series_anomaly")


def test_only_the_live_versions_series_have_a_level() -> None:
    both = play()
    both.traffic(5)

    for _ in range(3):
        frames = [*both.window(), *both.beside("v2", failing=0.0, n=40)]
        both.step(Batch(frames))

    assert {series.version for step in both.steps for series, _ in step.levels} == {"v1"}
