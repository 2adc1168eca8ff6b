"""Who asks: whether a few clients make most of the requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar
from zlib import crc32

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import Frame, Partial, PredictionFrame, Sample, Window

_BUCKETS = 256


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
        buckets = [0] * _BUCKETS
        for entity, count in requests.items():
            buckets[crc32(entity.encode("utf-8", "surrogatepass")) % _BUCKETS] += count
        return Partial(buckets=np.array(buckets, dtype=np.int64))

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        if partial:
            buckets = partial["buckets"]
            closed = Closed(model, version, self.name, window)
            yield closed.rate("", int(buckets.max()), int(buckets.sum()))
