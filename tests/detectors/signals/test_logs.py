from __future__ import annotations

import pytest

from tests.detectors.signals.frames import logs, sampled
from watchkeeper.detectors.signals.logs import Logs


def test_errors_are_severity_17_and_above() -> None:
    found = sampled(Logs(), [logs([1, 9, 16]), logs([17, 24])])

    assert found["error_rate"].value == pytest.approx(0.4)
    assert found["volume"].value == 2
    assert found["error_rate"].n == found["volume"].n == 5


def test_no_records_say_nothing() -> None:
    assert sampled(Logs(), [logs([])]) == {}
