"""Bounds."""

from __future__ import annotations

from tests.detectors.streams import fired, samples
from watchkeeper.detectors.threshold import Threshold


def test_it_fires_while_the_value_is_above() -> None:
    assert fired(Threshold(above=0.05), samples([0.01, 0.06, 0.05, 0.2, 0.3])) == [1, 3, 4]


def test_it_fires_while_the_value_is_below() -> None:
    found = Threshold(below=0.8).update(samples([0.9, 0.7]))

    assert [(f.direction, f.statistic, f.threshold) for f in found] == [("down", 0.7, 0.8)]


def test_it_waits_for_enough_windows_in_a_row() -> None:
    given = samples([1, 1, 0, 1, 1, 1, 1])

    found = Threshold(above=0.5, for_windows=3).update(given)

    assert [f.at / 60 for f in found] == [6.0, 7.0]
    assert {f.since for f in found} == {180.0}


def test_windows_of_too_few_events_neither_fire_nor_end_a_fault() -> None:
    given = samples([1, 1, 0, 1], n=[100, 100, 2, 100])

    assert fired(Threshold(above=0.5, for_windows=2), given) == [1, 3]


def test_without_a_bound_nothing_is_found() -> None:
    assert fired(Threshold(), samples([-1e300, 1e300])) == []
