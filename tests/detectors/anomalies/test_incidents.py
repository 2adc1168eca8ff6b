"""One alarm an incident, and habituation."""

from __future__ import annotations

import numpy as np
import pytest

from watchkeeper.detectors.anomalies.incidents import FIELDS, KEPT, alarms
from watchkeeper.detectors.anomalies.rules import Rules
from watchkeeper.detectors.frames import IntArray

ROW: IntArray = np.zeros(1, dtype=np.int64)
RULES = Rules(memory=1_000, quiet=10, worse=1.25)


class Series:
    """One series' alarms."""

    def __init__(self) -> None:
        self.state = {name: np.zeros((1, *size), kind) for name, kind, size in FIELDS}

    def at(
        self, place: int, evidence: float, *, may: bool = True, least: float = 0.0
    ) -> tuple[bool, float]:
        """Whether there is an alarm, and its score."""
        seen, given = np.array([place]), np.array([evidence])
        sound, score = alarms(self.state, ROW, seen, given, RULES, np.array([may]), least)
        return bool(sound[0]), float(score[0])


def test_the_first_alarm_has_all_its_evidence() -> None:
    assert Series().at(5, 3.0) == (True, 3.0)


def test_an_open_incident_gives_no_second_alarm_unless_it_is_worse() -> None:
    series = Series()
    series.at(0, 2.0)

    again = [series.at(1, 2.0)[0], series.at(9, 2.4)[0], series.at(9, 2.6)[0]]

    assert again == [False, False, True]


def test_an_incident_closes_when_it_was_quiet() -> None:
    series = Series()
    series.at(0, 2.0)

    assert series.at(RULES.quiet, 2.0)[0]


def test_what_scores_too_little_opens_no_incident() -> None:
    series = Series()

    assert series.at(0, 2.0, least=2.1) == (False, 0.0)
    assert series.at(1, 2.2, least=2.1) == (True, 2.2)


def test_an_alarm_that_may_not_be_hides_none_that_may() -> None:
    series = Series()

    assert series.at(0, 4.0, may=False) == (False, 0.0)
    assert not series.at(1, 3.0, may=False)[0]
    assert series.at(2, 3.0)[0]
    assert not series.at(3, 3.0)[0]


def test_what_comes_all_the_time_counts_less() -> None:
    series = Series()
    scores = [series.at(RULES.quiet * i, 2.0)[1] for i in range(10)]

    assert scores[0] == 2.0
    assert scores[9] == pytest.approx(2 - np.log10(10), abs=0.05)
    assert scores == sorted(scores, reverse=True)


def test_weak_alarms_hardly_count_against_strong_ones() -> None:
    series = Series()
    for i in range(10):
        series.at(RULES.quiet * i, 1.0)

    assert series.at(RULES.quiet * 10, 4.0)[1] > 3.99


def test_what_was_long_ago_is_forgotten() -> None:
    series = Series()
    series.at(0, 2.0)

    assert series.at(20 * RULES.memory, 2.0)[1] == pytest.approx(2.0, abs=1e-5)


def test_no_more_alarms_are_kept_than_there_is_room_for() -> None:
    series = Series()
    for i in range(3 * KEPT):
        series.at(RULES.quiet * i, 2.0)

    assert int(series.state["alarms"][0]) == 3 * KEPT
    assert series.state["strength"].shape == (1, KEPT)
