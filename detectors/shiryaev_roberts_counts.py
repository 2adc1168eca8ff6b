"""Evidence of drift of a histogram, against a budget of false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.frames import BoolArray
from watchkeeper.detectors.sequential.detector import EvidenceDetector
from watchkeeper.detectors.sequential.layout import Fields, Records
from watchkeeper.detectors.sequential.watching import Histograms, Passed
from watchkeeper.detectors.setting import Count, NonNegative, setting
from watchkeeper.detectors.types import Sample


@dataclass
class ShiryaevRobertsCounts(EvidenceDetector):
    """Fires while histograms of windows differ from those before, of which the reference is the
    first.

    For categories, classes and the bins of features and scores. A window adds to the evidence what
    bets on another distribution make of its counts: one near the usual, or that of the windows just
    before. Where windows vary more than independent events would, they count for fewer events.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, old = Series("m", "1", "features", "a:histogram"), np.array([500, 500])
    >>> counts = [np.array(c) for c in [[148, 152], [155, 145]] * 10 + [[200, 100]] * 3]
    >>> past = [Sample(series, Window(i, i + 1), 0.0, 300, counts=c, expected_counts=old)
    ...     for i, c in enumerate(counts)]
    >>> [f.at for f in ShiryaevRobertsCounts().update(Samples.of(past))]
    [22.0, 23.0]
    """

    name: ClassVar[str] = "shiryaev_roberts_counts"

    min_effect: NonNegative = setting(
        0.0, "smallest population stability index of the last ten windows that matters"
    )
    warm_up: Count = setting(255, "events that are learned before the first judgement")
    memory: Count = setting(1_000_000, "events after which what is usual forgets")

    def histograms(self) -> Histograms:
        """What judges the histograms."""
        return Histograms(self.level, self.warm_up, self.memory, self.min_effect)

    def layouts(self) -> list[Fields]:
        self._histograms = self.histograms()
        return [self._histograms.fields()]

    def passed(self, sample: Sample, calm: BoolArray) -> Passed | None:
        if sample.counts is None:
            return None
        counts = sample.counts[None]
        expected = (
            np.zeros_like(counts)
            if sample.expected_counts is None
            else (sample.expected_counts[None])
        )
        return self._histograms.judge(self.records[0], counts, expected, calm)

    def sound(self, records: list[Records]) -> bool:
        return self._histograms.sound(records[0])
