"""Every detector that is registered passes the published conformance checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from watchkeeper.detectors.checks import (
    CHECKS,
    Make,
    check_min_n,
    check_odd_numbers,
    check_state_round_trip,
)
from watchkeeper.detectors.registry import detector_names, make
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import Severity

by_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


@by_check
@pytest.mark.parametrize("name", detector_names())
def test_a_detector_conforms(name: str, check: Callable[[Make], None]) -> None:
    check(partial(make, name, {}, Severity.WARNING))


@pytest.mark.parametrize("check", [check_odd_numbers, check_state_round_trip, check_min_n])
@pytest.mark.parametrize("watch", DEFAULT_WATCHES, ids=lambda w: f"{w.signal}-{w.target}")
def test_a_default_watch_conforms(watch: Watch, check: Callable[[Make], None]) -> None:
    check(partial(make, watch.detector, watch.settings, watch.severity))
