"""The benchmark's weights, on series whose points are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.detection.nab_scorer import PROFILES, Profile, Scored, judged, probation, worth
from watchkeeper.detectors.types import FloatArray

WINDOW = (400, 499)
every_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)


def alarms(*places: int) -> Scored:
    scores: FloatArray = np.zeros(1_000)
    scores[list(places)] = 1.0
    return Scored(scores, [WINDOW])


def at_one(series: Scored, profile_at: int = 0) -> float:
    """The points of alarms at score 1, as the best threshold where that is better than silence."""
    return judged([series], PROFILES[profile_at]).points


@every_profile
def test_silence_gives_nothing(profile: Profile) -> None:
    assert judged([alarms()], profile).points == 0.0


@every_profile
def test_the_first_point_of_each_window_gives_a_hundred(profile: Profile) -> None:
    assert judged([alarms(400), alarms(400)], profile).points == pytest.approx(100.0)


def test_only_the_earliest_alarm_of_a_window_counts() -> None:
    assert at_one(alarms(420, 480)) == at_one(alarms(420))
    assert at_one(alarms(420)) > at_one(alarms(480)) > 0.0


def test_an_alarm_in_the_middle_earns_the_sigmoid() -> None:
    earned = (2 / (1 + np.exp(-2.5)) - 1) / (2 / (1 + np.exp(-5)) - 1)

    assert at_one(alarms(450)) == pytest.approx(100 * (1 + earned) / 2)


@pytest.mark.parametrize(("profile", "cost"), [(0, 5.5), (1, 11.0), (2, 11.0 / 3)])
def test_a_false_alarm_costs_its_profiles_weight(profile: int, cost: float) -> None:
    assert at_one(alarms(400, 300), profile) == pytest.approx(100 - cost)


def test_shortly_after_a_window_an_alarm_costs_less() -> None:
    assert 100.0 > at_one(alarms(400, 505)) > at_one(alarms(400, 600)) > at_one(alarms(400, 300))


def test_the_probation_does_not_count() -> None:
    assert probation(1_000) == 150
    assert probation(20_000) == 750
    assert at_one(alarms(400, 149)) == pytest.approx(100.0)
    assert at_one(alarms(400, 150)) < 100.0


def test_one_threshold_is_chosen_for_all_series() -> None:
    first, second = alarms(400), alarms(400)
    second.scores[:] *= 0.5
    first.scores[200:240] = 0.6  # false alarms that a threshold for the second lets through

    outcome = judged([first, second], PROFILES[0])

    assert outcome.threshold == 1.0
    assert outcome.points == pytest.approx(50.0)


def test_far_after_a_window_an_alarm_is_worth_nothing_good() -> None:
    assert worth(np.array([4.0, -1.0])).tolist() == pytest.approx([-1.0, 0.98661], abs=1e-5)
