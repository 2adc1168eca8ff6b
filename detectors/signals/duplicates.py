"""What came twice: requests that were sent again, and inputs that repeat others."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._repeated import (
    ANSWERED,
    INPUTS,
    REPEATED,
    UNKNOWN,
    Inputs,
    inputs_of,
)
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import Frame, Partial, PredictionFrame, Sample, Window

__all__ = ["ANSWERED", "REPEATED", "UNKNOWN", "Duplicates"]

USUAL = 0.05  # share of requests that clients may send again without anything being wrong
_FEW = REPEATED, UNKNOWN


class Duplicates:
    """`requests`: the share of predictions whose request had one already, expected to be one in
    twenty at most. They are counted nowhere else. n counts all of the window; where label joins
    keep a share of the requests, those among them, as no repetition of any other would be noticed.
    It is told from the first window on in which a version has any.

    Models with `duplicates = true` have one target more. `inputs`: the share of predictions whose
    features, to the last bit, are those of another one before it in the window, under whatever
    request. It is that of a sample of inputs, the 1,024 with the lowest keys, which is the same
    however the events are cut and merged (Broder, On the Resemblance and Containment of Documents,
    1997); n counts the predictions in the sample.
    """

    name: ClassVar[str] = "duplicates"
    watches: ClassVar[type[Frame]] = PredictionFrame
    part: ClassVar[type[Partial]] = Inputs

    def measure(self, frame: PredictionFrame, profile: Profile | None) -> Partial:
        return Inputs()  # one frame cannot tell which requests came before it

    def sketch(self, block: PredictionBlock) -> Partial:
        """The sample of the inputs of a block of one version's window."""
        return inputs_of(block)

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        closed = Closed(model, version, self.name, window)
        if ANSWERED in partial:
            again, unknown = (int(partial[name][0]) if name in partial else 0 for name in _FEW)
            n = int(partial[ANSWERED][0]) - unknown + again
            if n > 0:
                of = closed.rate("requests", again, n)
                yield dataclasses.replace(of, expected=USUAL)
        if INPUTS in partial:
            n = int(partial[INPUTS][:, 1].sum())
            if n:
                yield closed.rate("inputs", n - len(partial[INPUTS]), n)
