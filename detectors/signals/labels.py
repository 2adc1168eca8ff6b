"""Who tells the truths: whether one source of labels contradicts the model as no other does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals import _disagreement as d
from watchkeeper.detectors.signals._disagreement import (
    ALL,
    COUNTED,
    OTHERS,
    Pairs,
    Told,
    contradicted,
    key_of,
    sources_of,
)
from watchkeeper.detectors.signals._exact import total
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import Frame, IntArray, JoinedFrame, Partial, Sample, Window

__all__ = [
    "ALL",
    "COUNTED",
    "OTHERS",
    "REST",
    "SOURCE",
    "SOURCES",
    "Labels",
    "Pairs",
    "Told",
    "contradicted",
    "counts_of",
    "key_of",
    "sources_of",
]

SOURCES = 32  # of a model that are told apart; all further ones are one
SOURCE = "source:"
REST = ("rest", "rest_error")  # targets: the answers without the labels of who stands out most


class Labels:
    """How the sources of labels (`source` of a label) agree with each other, by what each says of
    the model's answers. By source nothing is measured of models whose labels name none.

    `source:S`: by how much the share of labels that contradict the answers is larger among those of
    S than among all others of the window, expected to be 0; n counts the labels of S, 10 at least.
    Of regressors: by how much more often than not an error by labels of S is larger than one by
    labels of the other named sources (Mann and Whitney, Annals of Mathematical Statistics 18,
    1947), -0.5 to 0.5. `rest`: the accuracy without the labels of the source that stands out most,
    by two standard errors; by all labels where none does. `rest_error`: of regressors the mean
    absolute error, by the named sources. The 31 sources of a model that told most of late are told
    apart, all others are `__other__`. `positive_rate`, where the profile names the positive class:
    its share among the labels, whoever told them.
    """

    name: ClassVar[str] = "labels"
    watches: ClassVar[type[Frame]] = JoinedFrame
    part: ClassVar[type[Partial]] = Told

    def measure(self, frame: JoinedFrame, profile: Profile | None) -> Partial:
        positive = None if profile is None else profile.positive
        pairs = d.pairs_of(frame, positive)
        usable, wrong = contradicted(pairs)
        part = Told()
        if usable.any():
            part[ALL] = d.tallied(usable, wrong)
            if positive is not None:
                truths = (pairs.truth == pairs.positive) & usable
                part[f"{d.TRUTHS}{positive}"] = d.tallied(usable, truths)
        if frame.source is not None:
            names = [None if each is None else str(each) for each in frame.source.tolist()]
            known = {name: i for i, name in enumerate(dict.fromkeys(n for n in names if n))}
            code = np.array([known.get(name or "", -1) for name in names], dtype=np.int64)
            part.merge(self.by_source(list(known), code, pairs))
        return part

    def by_source(self, names: list[str], code: IntArray, pairs: Pairs) -> Partial:
        """What is counted by source; `code` is each row's place in `names`, -1 for nobody."""
        return d.by_source(names, code, pairs)

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        closed = Closed(model, version, self.name, window)
        positive = None if profile is None else profile.positive
        if f"{d.TRUTHS}{positive}" in partial and positive is not None:
            n, truths = partial[f"{d.TRUTHS}{positive}"].tolist()
            yield closed.rate("positive_rate", truths, n)
        told = _by_name(partial, d.TOLD)
        if told and ALL in partial:
            yield from _classified(closed, partial[ALL], told)
        off = _by_name(partial, d.OFF)
        yield from _regressed(closed, {n: off[n] for n in off if n not in told}, partial)


def _classified(closed: Closed, every: IntArray, told: Mapping[str, IntArray]) -> Iterator[Sample]:
    odd, most = np.zeros(2, dtype=np.int64), 0.0
    for name, mine in told.items():
        apart = d.apart(mine, every - mine)
        if apart is None:
            continue
        value, error = apart
        yield closed.sample(f"source:{name}", value, int(mine[0]), stderr=error, expected=0.0)
        if value - d.STANDING_OUT * error > most:
            odd, most = mine, value - d.STANDING_OUT * error
    n, wrong = (every - odd).tolist()
    if n > 0:
        yield closed.rate("rest", n - wrong, n)


def _regressed(
    closed: Closed, off: Mapping[str, IntArray], partial: Mapping[str, IntArray]
) -> Iterator[Sample]:
    every = sum(off.values(), np.zeros(d.SIZES, dtype=np.int64))
    odd, most = "", 0.0
    for name, mine in off.items():
        larger = d.larger(mine, every - mine)
        if larger is None:
            continue
        value, error = larger
        yield closed.sample(f"source:{name}", value, int(mine.sum()), stderr=error, expected=0.0)
        if value - d.STANDING_OUT * error > most:
            odd, most = name, value - d.STANDING_OUT * error
    rest = [name for name in off if name != odd]
    n = sum(int(off[name].sum()) for name in rest)
    sizes = [f"{d.SIZE}{name}" for name in rest]
    if n and all(name in partial for name in sizes):
        size = sum((total(partial[name]) for name in sizes), Fraction())
        yield closed.sample("rest_error", float(size / n), n)


def counts_of(partial: Mapping[str, IntArray]) -> dict[str, int]:
    """How many labels each source told, as far as they say anything of the answers."""
    told = {name: int(each[0]) for name, each in _by_name(partial, d.TOLD).items()}
    off = {name: int(each.sum()) for name, each in _by_name(partial, d.OFF).items()}
    return {n: max(told.get(n, 0), off.get(n, 0)) for n in sorted(told.keys() | off.keys())}


def _by_name(partial: Mapping[str, IntArray], of: str) -> dict[str, IntArray]:
    """The arrays of sources, in the order of their names."""
    return {name.removeprefix(of): partial[name] for name in sorted(partial) if name.startswith(of)}
