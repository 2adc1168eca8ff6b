"""How long tests wait before they give up: longer where others have the machine first."""

from __future__ import annotations

import os

import pytest

PATIENCE = float(os.environ.get("WATCHKEEPER_TEST_PATIENCE", "1"))


def patient(seconds: float) -> float:
    """So many seconds, times what `WATCHKEEPER_TEST_PATIENCE` says."""
    return seconds * PATIENCE


def wait_longer(items: list[pytest.Item], usual: float) -> None:
    """Has tests count as hanging that much later; those that say nothing have the `usual` time."""
    for item in items:
        marker = item.get_closest_marker("timeout")
        given = (*marker.args, marker.kwargs.get("timeout"))[0] if marker else usual
        named = marker.kwargs if marker else {}
        item.add_marker(pytest.mark.timeout(**{**named, "timeout": patient(given)}), append=False)
