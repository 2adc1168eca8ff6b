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
        given, *how = marker.args if marker and marker.args else (usual,)
        named = dict(marker.kwargs) if marker else {}
        longer = patient(float(named.pop("timeout", given)))
        item.add_marker(pytest.mark.timeout(longer, *how, **named), append=False)
