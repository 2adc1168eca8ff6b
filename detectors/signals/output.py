"""What comes out of a model: classes, scores and values against the reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import CategoricalProfile, NumericProfile, Profile
from watchkeeper.detectors.signals._columns import (
    OTHER,
    Categories,
    Numbers,
    category_counts,
    digest,
    histogram,
    mean,
    reference_counts,
)
from watchkeeper.detectors.signals._sampling import NAN, Closed
from watchkeeper.detectors.types import (
    Frame,
    IntArray,
    Partial,
    PredictionFrame,
    Sample,
    Window,
)


@dataclass(frozen=True, slots=True)
class _Plan:
    numbers: Numbers
    profiles: tuple[NumericProfile, ...]
    classes: Categories


class Output:
    """Targets: `invalid_rate` (no probability, or not finite); of a classifier `rate:LABEL` for
    each profiled class, `unseen_class_rate`, `classes` (population stability index with the
    counts) and `positive_rate`; `score` and `value`, the means with their histograms.

    Without labels, the positive rate is the share of scores from one half up. Only
    `invalid_rate` is measured while there is no profile.
    """

    name: ClassVar[str] = "output"
    watches: ClassVar[type[Frame]] = PredictionFrame

    def measure(self, frame: PredictionFrame, profile: Profile | None) -> Partial:
        n = len(frame)
        if not n:
            return Partial()
        invalid = n - np.count_nonzero(frame.output_valid)
        part = Partial(validity=np.array([n, invalid], dtype=np.int64))
        if profile is None:
            return part
        plan, against = _plan(profile), digest(profile)
        part[f"{against}:positive"] = _positives(frame, profile)
        if plan.profiles:
            columns = {"score": frame.score, "value": frame.value}
            part[f"{against}:numeric"] = plan.numbers.measure(columns, n)
        if profile.classes is not None:
            part[f"{against}:classes"] = plan.classes.measure({"label": frame.label}, n)
        return part

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        if not partial:
            return
        closed = Closed(model, version, self.name, window)
        n, invalid = partial["validity"].tolist()
        yield closed.rate("invalid_rate", invalid, n)
        if profile is None or f"{digest(profile)}:positive" not in partial:
            return
        against = digest(profile)
        yield from _positive_samples(closed, profile, partial[f"{against}:positive"])
        measured = partial.get(f"{against}:numeric", ())
        for numeric, row in zip(_plan(profile).profiles, measured, strict=True):
            yield from _number_samples(closed, numeric, row)
        if profile.classes is not None:
            yield from _class_samples(closed, profile.classes, partial[f"{against}:classes"][0])


@lru_cache(maxsize=256)
def _plan(profile: Profile) -> _Plan:
    profiles = tuple(p for p in (profile.score, profile.value) if p is not None)
    classes = () if profile.classes is None else (profile.classes,)
    return _Plan(Numbers.of(profiles), profiles, Categories.of(classes))


def _positives(frame: PredictionFrame, profile: Profile) -> IntArray:
    """How many events have an answer, and how many of these are positive."""
    if profile.classes is None:
        scored = np.count_nonzero(~np.isnan(frame.score)) if profile.task == "binary" else 0
        return np.array([scored, np.count_nonzero(frame.score >= 0.5)], dtype=np.int64)
    if profile.positive is None:
        return np.zeros(2, dtype=np.int64)
    labels = frame.label.tolist()
    return np.array([len(labels) - labels.count(None), labels.count(profile.positive)])


def _positive_samples(closed: Closed, profile: Profile, measured: IntArray) -> Iterator[Sample]:
    n, positive = measured.tolist()
    if not n:
        return
    classes = profile.classes
    if classes is None:
        yield closed.rate("positive_rate", positive, n)
        return
    known = dict(zip(classes.categories, classes.counts, strict=True))
    of = classes.n - classes.missing
    yield closed.rate_against(
        "positive_rate", positive, n, known.get(profile.positive or "", 0), of
    )


def _number_samples(closed: Closed, profile: NumericProfile, row: IntArray) -> Iterator[Sample]:
    counts = histogram(row, profile)
    n = int(counts.sum())
    if n:
        yield closed.sample(
            profile.name,
            mean(row, profile, n),
            n,
            stderr=profile.sd / math.sqrt(n) or NAN,
            expected=profile.mean,
            counts=counts,
            expected_counts=reference_counts(profile),
        )


def _class_samples(closed: Closed, profile: CategoricalProfile, row: IntArray) -> Iterator[Sample]:
    counts = category_counts(row, profile)
    n, of = int(counts.sum()), profile.n - profile.missing
    if not n:
        return
    for category, count, known in zip(
        profile.categories, counts.tolist(), profile.counts, strict=False
    ):
        yield closed.rate_against(f"rate:{category}", count, n, known, of)
    yield closed.rate_against("unseen_class_rate", int(row[OTHER]), n, profile.other, of)
    yield closed.stability("classes", counts, reference_counts(profile))
