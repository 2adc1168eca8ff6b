"""Who may page."""

from __future__ import annotations

from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.paging import policies, restrained, run_length_wanted
from watchkeeper.detectors.run_length import RunLength
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import Severity

RIVER = Watch(signal="latency", detector="adwin", severity=Severity.CRITICAL)
LIMIT = Watch(signal="errors", detector="threshold", severity=Severity.CRITICAL)
POLICY = ModelPolicy(watches=(RIVER, LIMIT), false_alarm_s=86_400.0)
DAY = run_length_wanted(POLICY)


def severities(policy: ModelPolicy) -> list[Severity]:
    return [each.severity for each in policy.watches]


def test_a_day_between_false_pages_is_so_many_windows() -> None:
    assert DAY == 1_440


def test_a_detector_of_river_that_was_not_measured_pages_nobody() -> None:
    allowed, held = restrained(POLICY, "m", {})

    assert held == [RIVER]
    assert severities(allowed) == [Severity.WARNING, Severity.CRITICAL]


def test_one_that_runs_long_enough_on_this_models_history_pages() -> None:
    known = {("m", RIVER.digest): RunLength(4 * DAY, 3, DAY)}

    assert restrained(POLICY, "m", known) == (POLICY, [])
    assert restrained(POLICY, "other", known)[1] == [RIVER]


def test_one_that_is_wrong_too_often_or_was_looked_at_too_shortly_does_not() -> None:
    for measured in (
        RunLength(4 * DAY, 5, 4 * DAY),
        RunLength(DAY - 1, 0, DAY - 1),
        RunLength(100 * DAY, 0, DAY // 4 - 1),
    ):
        assert restrained(POLICY, "m", {("m", RIVER.digest): measured})[1] == [RIVER]


def test_other_settings_have_to_be_measured_anew() -> None:
    other = Watch(signal="latency", detector="adwin", settings={"delta": 0.2})

    assert other.digest != RIVER.digest


def test_the_built_in_suite_is_not_held_back() -> None:
    policy = ModelPolicy(watches=DEFAULT_WATCHES)

    assert policies(lambda model: policy, {})("m") is policy
