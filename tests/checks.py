"""Every detector that is registered passes the published conformance checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from watchkeeper.detectors.checks import (
    CHECKS,
    Make,
    check_cuts_do_not_matter,
    check_min_n,
    check_odd_numbers,
    check_state_is_bounded,
    check_state_round_trip,
)
from watchkeeper.detectors.registry import detector_names, make
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import Severity


def _called(check: Callable[[Make], None]) -> str:
    return check.__name__


def _of(checks: Sequence[Callable[[Make], None]]) -> pytest.MarkDecorator:
    """These checks, of which some take long."""
    long = (
        check_cuts_do_not_matter,
        check_odd_numbers,
        check_state_is_bounded,
        check_state_round_trip,
    )
    cases = [
        pytest.param(check, marks=[pytest.mark.slow] if check in long else []) for check in checks
    ]
    return pytest.mark.parametrize("check", cases, ids=_called)


@_of(CHECKS)
@pytest.mark.parametrize("name", detector_names())
def test_a_detector_conforms(name: str, check: Callable[[Make], None]) -> None:
    check(partial(make, name, {}, Severity.WARNING))


@_of([check_odd_numbers, check_state_round_trip, check_min_n])
@pytest.mark.parametrize("watch", DEFAULT_WATCHES, ids=lambda w: f"{w.signal}-{w.target}")
def test_a_default_watch_conforms(watch: Watch, check: Callable[[Make], None]) -> None:
    check(partial(make, watch.detector, watch.settings, watch.severity))
