from __future__ import annotations

import pytest

from tests.detectors.signals.frames import logs, sampled
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.signals.logs import Logs
from watchkeeper.detectors.templates.counts import FormCounts, forms_of


def test_errors_are_severity_17_and_above() -> None:
    found = sampled(Logs(), [logs([1, 9, 16]), logs([17, 24])])

    assert found["error_rate"].value == pytest.approx(0.4)
    assert found["volume"].value == 2
    assert found["error_rate"].n == found["volume"].n == 5


def test_no_records_say_nothing() -> None:
    assert sampled(Logs(), [logs([])]) == {}


def test_its_parts_count_the_forms_of_lines() -> None:
    part = part_of("logs")

    part.merge(Logs().measure(logs([9, 17]), None))
    part.merge(Logs().measure(logs([17]), None))

    assert isinstance(part, FormCounts)
    assert [(each.n, each.errors) for each in forms_of(part)] == [(3, 2)]
