"""What goes into a model: each profiled feature against the reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import CategoricalProfile, NumericProfile, Profile
from watchkeeper.detectors.signals._columns import (
    ABSENT,
    MISSING,
    OTHER,
    OUTSIDE,
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
    categories: Categories
    known: frozenset[tuple[str, bool]]  # name, and whether it is numeric


class Features:
    """Targets of a feature x: `x:missing`; `x:histogram` (population stability index with the
    counts); numeric: `x:mean` and `x:out_of_range` (beyond the reference's extremes by more than
    5 % of their range); categorical: `x:unseen` (not among the kept categories).

    Of all together: `schema:missing_features`, the share of profiled features that no event had
    (its standard error is 0 where that cannot be chance),
    `schema:new_features`, the share of events with a feature that is not profiled, and
    `schema:other_types`, that of events with a profiled feature as another type. A feature that
    changes between number and text is missing as the one and new as the other. Measures nothing
    while there is no profile.
    """

    name: ClassVar[str] = "features"
    watches: ClassVar[type[Frame]] = PredictionFrame

    def measure(self, frame: PredictionFrame, profile: Profile | None) -> Partial:
        if profile is None or not len(frame):
            return Partial()
        plan, against, n = _plan(profile), digest(profile), len(frame)
        seen = np.array([n, _with_new_features(frame, plan)], dtype=np.int64)
        part = Partial({f"{against}:seen": seen})
        retyped = _retyped(frame, plan)
        if retyped:
            part[f"{against}:retyped"] = np.array([retyped], dtype=np.int64)
        if profile.numeric:
            part[f"{against}:numeric"] = plan.numbers.measure(frame.numeric, n)
        if profile.categorical:
            part[f"{against}:categorical"] = plan.categories.measure(frame.categorical, n)
        return part

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        if profile is None or f"{digest(profile)}:seen" not in partial:
            return
        against = digest(profile)
        n, new = partial[f"{against}:seen"].tolist()
        closed = Closed(model, version, self.name, window)
        absent = 0
        for numeric, row in zip(
            profile.numeric, partial.get(f"{against}:numeric", ()), strict=True
        ):
            absent += int(row[MISSING] == n)
            yield from _numeric_samples(closed, numeric, row, n)
        for categorical, row in zip(
            profile.categorical, partial.get(f"{against}:categorical", ()), strict=True
        ):
            absent += int(row[ABSENT] == n)
            yield from _categorical_samples(closed, categorical, row, n)
        yield from _schema_samples(closed, profile, n, absent, new)
        if profile.numeric or profile.categorical:
            retyped = int(partial.get(f"{against}:retyped", (0,))[0])
            yield closed.rate_against("schema:other_types", retyped, n, 0, profile.n)


@lru_cache(maxsize=256)
def _plan(profile: Profile) -> _Plan:
    return _Plan(
        numbers=Numbers.of(profile.numeric),
        categories=Categories.of(profile.categorical),
        known=frozenset(
            [(p.name, True) for p in profile.numeric]
            + [(p.name, False) for p in profile.categorical]
        ),
    )


def _with_new_features(frame: PredictionFrame, plan: _Plan) -> int:
    """How many events have a feature that the reference does not know."""
    new = np.zeros(len(frame), dtype=np.bool_)
    for name, numbers in frame.numeric.items():
        if (name, True) not in plan.known:
            new |= ~np.isnan(numbers)
    for name, texts in frame.categorical.items():
        if (name, False) not in plan.known:
            new |= np.array([text is not None for text in texts.tolist()])
    return int(np.count_nonzero(new))


def _retyped(frame: PredictionFrame, plan: _Plan) -> int:
    """How many events have a feature as text that the reference knows as a number alone, or the
    other way round."""
    other = np.zeros(len(frame), dtype=np.bool_)
    for name, numbers in frame.numeric.items():
        if (name, True) not in plan.known and (name, False) in plan.known:
            other |= ~np.isnan(numbers)
    for name, texts in frame.categorical.items():
        if (name, False) not in plan.known and (name, True) in plan.known:
            other |= np.array([text is not None for text in texts.tolist()])
    return int(np.count_nonzero(other))


def _numeric_samples(
    closed: Closed, profile: NumericProfile, row: IntArray, n: int
) -> Iterator[Sample]:
    name, of, missing = profile.name, profile.n - profile.missing, int(row[MISSING])
    yield closed.rate_against(f"{name}:missing", missing, n, profile.missing, profile.n)
    present = n - missing
    if not present or not of:
        return
    yield closed.rate_against(f"{name}:out_of_range", int(row[OUTSIDE]), present, 0, of)
    yield closed.sample(
        f"{name}:mean",
        mean(row, profile, present),
        present,
        stderr=profile.sd / math.sqrt(present) or NAN,
        expected=profile.mean,
    )
    yield closed.stability(f"{name}:histogram", histogram(row, profile), reference_counts(profile))


def _categorical_samples(
    closed: Closed, profile: CategoricalProfile, row: IntArray, n: int
) -> Iterator[Sample]:
    name, of, missing = profile.name, profile.n - profile.missing, int(row[ABSENT])
    yield closed.rate_against(f"{name}:missing", missing, n, profile.missing, profile.n)
    present = n - missing
    if not present or not of:
        return
    yield closed.rate_against(f"{name}:unseen", int(row[OTHER]), present, profile.other, of)
    counts = category_counts(row, profile)
    yield closed.stability(f"{name}:histogram", counts, reference_counts(profile))


def _schema_samples(
    closed: Closed, profile: Profile, n: int, absent: int, new: int
) -> Iterator[Sample]:
    chances = [_never(each.missing, each.n, n) for each in profile.numeric]
    chances += [_never(each.missing, each.n, n) for each in profile.categorical]
    if chances:
        spread = math.sqrt(sum(chance * (1 - chance) for chance in chances))
        yield closed.sample(
            "schema:missing_features",
            absent / len(chances),
            n,
            stderr=spread / len(chances),
            expected=sum(chances) / len(chances),
        )
    yield closed.rate_against("schema:new_features", new, n, 0, profile.n)


def _never(missing: int, of: int, n: int) -> float:
    """The chance that none of n events has a feature that the reference misses in some."""
    return 1.0 if missing == of else float(((missing + 0.5) / (of + 1)) ** n)
