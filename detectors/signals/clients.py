"""Who asks: whether a few clients make most of the requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import Frame, Partial, PredictionFrame, Sample, Window

BUCKETS = 256


class Clients:
    """The share of requests that the busiest of 256 groups of entities makes.

    Entities fall into groups by a hash that is the same everywhere. n counts the requests that
    name their entity.
    """

    name: ClassVar[str] = "clients"
    watches: ClassVar[type[Frame]] = PredictionFrame

    def measure(self, frame: PredictionFrame, profile: Profile | None) -> Partial:
        requests = Counter(frame.entity.tolist())
        requests.pop(None, None)
        if not requests:
            return Partial()
        group = keys_of(list(requests)) % np.uint64(BUCKETS)
        buckets = np.zeros(BUCKETS, dtype=np.int64)
        np.add.at(buckets, group.astype(np.int64), list(requests.values()))
        return Partial(buckets=buckets)

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        if partial:
            buckets = partial["buckets"]
            closed = Closed(model, version, self.name, window)
            yield closed.rate("", int(buckets.max()), int(buckets.sum()))
