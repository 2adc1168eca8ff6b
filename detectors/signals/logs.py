"""What a model's applications complain about."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import Frame, LogFrame, Partial, Sample, Window

_ERROR = 17  # OpenTelemetry's lowest severity number of an error


class Logs:
    """Targets `error_rate`, the share of records that are errors or worse, and `volume`, their
    number; n counts all records. A window without records says nothing."""

    name: ClassVar[str] = "logs"
    watches: ClassVar[type[Frame]] = LogFrame

    def measure(self, frame: LogFrame, profile: Profile | None) -> Partial:
        if not len(frame):
            return Partial()
        errors = np.count_nonzero(frame.severity_number >= _ERROR)
        return Partial(records=np.array([len(frame), errors], dtype=np.int64))

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        if not partial:
            return
        n, errors = partial["records"].tolist()
        closed = Closed(model, version, self.name, window)
        yield closed.rate("error_rate", errors, n)
        yield closed.sample("volume", errors, n, stderr=math.sqrt(max(errors, 1)))
