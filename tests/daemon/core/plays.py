"""What plays begin with, and how two of them are compared."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from tests.playbook import Play
from watchkeeper.detectors.types import AnyFrame

QUIET = 45


def bad_version(play: Play) -> None:
    """A healthy version for a while, then a deployment that is wrong every second time."""
    play.traffic(QUIET)
    play.change("v2")
    play.traffic(9, version="v2", wrong=0.5)


def findings_of(play: Play) -> list[bytes]:
    return [msgspec.msgpack.encode(f) for step in play.steps for f in step.findings]


def in_order(frames: list[AnyFrame]) -> list[AnyFrame]:
    """The frames with one running order of arrival."""
    starts = np.cumsum([0, *(len(frame) for frame in frames)])
    return [
        replace(frame, seq=start + np.arange(len(frame)))
        for frame, start in zip(frames, starts, strict=False)
    ]


def plain(value: object) -> bytes:
    """The value's bytes: equal for equal values, and for NaN too."""
    return msgspec.msgpack.encode(value)
