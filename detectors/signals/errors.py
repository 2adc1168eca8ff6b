"""How many predictions failed or timed out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import (
    ERROR,
    STATUS_CODES,
    TIMEOUT,
    Frame,
    Partial,
    PredictionFrame,
    Sample,
    Window,
)


class Errors:
    """Targets `error_rate` and `timeout_rate`: shares of all predictions of the window."""

    name: ClassVar[str] = "errors"
    watches: ClassVar[type[Frame]] = PredictionFrame

    def measure(self, frame: PredictionFrame, profile: Profile | None) -> Partial:
        if not len(frame):
            return Partial()
        return Partial(status=np.bincount(frame.status, minlength=len(STATUS_CODES)))

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        if not partial:
            return
        status = partial["status"]
        n = int(status.sum())
        closed = Closed(model, version, self.name, window)
        yield closed.rate("error_rate", int(status[ERROR]), n)
        yield closed.rate("timeout_rate", int(status[TIMEOUT]), n)
