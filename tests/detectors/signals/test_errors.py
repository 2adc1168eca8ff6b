from __future__ import annotations

import math

import pytest

from tests.detectors.signals.frames import predictions, sampled
from watchkeeper.detectors.signals.errors import Errors
from watchkeeper.detectors.types import ERROR, OK, TIMEOUT


def test_shares_of_errors_and_of_time_outs() -> None:
    frame = predictions(10, status=[OK] * 5 + [ERROR] * 2 + [TIMEOUT] * 3)

    found = sampled(Errors(), [frame])

    assert found["error_rate"].value == 0.2
    assert found["timeout_rate"].value == pytest.approx(0.3)
    assert found["error_rate"].n == 10


def test_standard_error_is_binomial_for_many_events() -> None:
    frame = predictions(10_000, status=[ERROR] * 2_000 + [OK] * 8_000)

    found = sampled(Errors(), [frame])

    assert found["error_rate"].stderr == pytest.approx(math.sqrt(0.2 * 0.8 / 10_000), rel=1e-2)


def test_no_error_at_all_is_no_certainty() -> None:
    assert sampled(Errors(), [predictions(50)])["error_rate"].stderr > 0.01


def test_an_empty_window_says_nothing() -> None:
    assert sampled(Errors(), [predictions(0)]) == {}
