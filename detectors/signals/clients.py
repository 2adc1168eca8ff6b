"""Who asks: whether a few clients make most of the requests, or ask as an attacker would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals import _sketches
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import (
    BoolArray,
    Frame,
    IntArray,
    Partial,
    PredictionFrame,
    Sample,
    Window,
)

BUCKETS = _sketches.GROUPS


class Clients:
    """The share of requests that the busiest of 256 groups of entities makes.

    Entities fall into groups by a hash that is the same everywhere. n counts the requests that
    name their entity.

    Models with `attacks = true` have four targets more. They compare each group of 30 requests or
    more with all others of the same window; the value is how far the most peculiar one is from
    them, 0 where none is by five standard errors. `boundary`: the share of its scores within 0.05
    of 0.5, where the task is binary. `answers`: the entropy of the labels it was given, in nats;
    high where somebody asks for every class. `repeats`: how often two of its inputs are nearly the
    same, once there is a reference. `success`: the share of its answers that are wrong, of those to
    its last requests whose truth becomes known in the window.
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

    def sketch(self, block: PredictionBlock, profile: Profile | None) -> Partial:
        """What the further targets need of a block of one version's window."""
        return _sketches.sketch(block, profile)

    def success(self, group: IntArray, usable: BoolArray, wrong: BoolArray) -> Partial:
        """What `success` needs of answers whose truth is known, and the groups of who asked."""
        table = np.zeros((BUCKETS, 2), dtype=np.int64)
        np.add.at(table[:, 0], group[usable], 1)
        np.add.at(table[:, 1], group[usable & wrong], 1)
        return Partial(wrong=table)

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        closed = Closed(model, version, self.name, window)
        if "buckets" in partial:
            buckets = partial["buckets"]
            yield closed.rate("", int(buckets.max()), int(buckets.sum()))
        for target, table, compare in _SKETCHES:
            if table not in partial or (target == "boundary" and not _is_binary(profile)):
                continue
            apart = compare(partial[table])
            if apart is not None:
                yield closed.sample(target, apart.value, apart.n)


_SKETCHES = (
    ("answers", "answers", _sketches.many_answers),
    ("boundary", "near", _sketches.near_border),
    ("repeats", "inputs", _sketches.alike),
    ("success", "wrong", _sketches.wrong_answers),
)


def _is_binary(profile: Profile | None) -> bool:
    """Whether a score of one half is where the answer changes."""
    return profile is not None and profile.task == "binary"
