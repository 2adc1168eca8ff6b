"""How many predictions came: the sign of life, and of silence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import Frame, Partial, PredictionFrame, Sample, Window


class Volume:
    """Predictions a window. A window without any gives 0, so that silence can be judged.

    The standard error is Poisson's.
    """

    name: ClassVar[str] = "volume"
    watches: ClassVar[type[Frame]] = PredictionFrame

    def measure(self, frame: PredictionFrame, profile: Profile | None) -> Partial:
        return Partial(n=np.array([len(frame)], dtype=np.int64))

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        n = int(partial["n"][0]) if partial else 0
        closed = Closed(model, version, self.name, window)
        yield closed.sample("", n, n, stderr=math.sqrt(max(n, 1)))
