"""How long a detector runs between findings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.detectors.streams import samples
from watchkeeper.detectors.run_length import RunLength, run_length
from watchkeeper.detectors.suite import Watch


def test_a_detector_that_is_wrong_once_in_a_hundred_windows_is_measured_so() -> None:
    history = samples(np.random.default_rng(1).random(5_000))
    watch = Watch(signal="signal", detector="threshold", settings={"above": 0.99, "min_n": 1})

    found = run_length(watch, history, 60_000)

    low, high = found.interval()
    assert (found.windows, found.observed) == (60_000, 5_000)
    assert 80 < found.mean < 125
    assert low < found.mean < high


def test_a_finding_that_lasts_is_one_run() -> None:
    value = np.zeros(100)
    value[20:50] = 1.0
    watch = Watch(signal="signal", detector="threshold", settings={"above": 0.5, "min_n": 1})

    assert run_length(watch, samples(value), 100) == RunLength(100, 1, 100)


def test_without_a_finding_the_mean_is_unknown_but_bounded() -> None:
    none = RunLength(30_000, 0, 30_000)

    low, high = none.interval()

    assert none.mean == high == math.inf
    assert low == pytest.approx(30_000 / 3.689, rel=1e-3)


def test_the_same_history_gives_the_same_answer_and_an_empty_one_none() -> None:
    history = samples(np.random.default_rng(2).normal(size=600))
    watch = Watch(signal="signal", detector="robust_z", settings={"threshold": 3.0})

    assert run_length(watch, history, 5_000) == run_length(watch, history, 5_000)
    assert run_length(watch, samples(np.zeros(0)), 5_000) == RunLength(0, 0, 0)


def test_drawing_again_makes_nobody_surer() -> None:
    once, often = RunLength(500, 5, 500), RunLength(50_000, 500, 500)

    assert once.interval() == often.interval()


def test_a_detector_warms_up_once_and_not_in_each_repetition() -> None:
    history = samples(np.random.default_rng(3).normal(size=25))
    watch = Watch(signal="signal", detector="ewma", settings={"threshold": 1.0, "warm_up": 30})

    assert run_length(watch, history, 5_000).runs > 0
