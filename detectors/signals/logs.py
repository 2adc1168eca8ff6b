"""What a model's applications complain about."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.templates.counts import RECORDS, FormCounts
from watchkeeper.detectors.types import Frame, LogFrame, Partial, Sample, Window

_ERROR = 17  # OpenTelemetry's lowest severity number of an error


class Logs:
    """Targets `error_rate`, the share of records that are errors or worse, and `volume`, their
    number; n counts all records. A window without records says nothing.

    Its parts also count how often each form of line came; what these say is found by
    `detectors.templates.watch`, which has a memory.
    """

    name: ClassVar[str] = "logs"
    watches: ClassVar[type[Frame]] = LogFrame
    part: ClassVar[type[Partial]] = FormCounts

    def measure(self, frame: LogFrame, profile: Profile | None) -> Partial:
        if not len(frame):
            return FormCounts()
        return FormCounts.of(frame.body.tolist(), (frame.severity_number >= _ERROR).tolist())

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        if not partial:
            return
        n, errors = partial[RECORDS].tolist()
        closed = Closed(model, version, self.name, window)
        yield closed.rate("error_rate", errors, n)
        yield closed.sample("volume", errors, n, stderr=math.sqrt(max(errors, 1)))
