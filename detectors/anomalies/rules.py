"""What users may set of anomalies."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """How much is remembered, and when there is another alarm; all counted in values.

    `memory` bounds what a series is compared with, `quiet` is for how long an incident stays open
    after its last alarm, `worse` how many times its worst makes another.
    """

    memory: int = 8_000
    quiet: int = 120
    worse: float = 1.25
