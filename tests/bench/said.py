"""What the naive checks said of a stream, and how much of it they had read."""

from __future__ import annotations

import msgspec


class Said(msgspec.Struct, frozen=True):
    """Event times of alarms, after so many predictions and labels."""

    alarms: list[float]
    predictions: int
    labels: int
