"""Who tells the truths: whether one source of labels contradicts the model as no other does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals import _disagreement as d
from watchkeeper.detectors.signals._disagreement import ALL, Pairs, contradicted, key_of
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import Frame, IntArray, JoinedFrame, Partial, Sample, Window

__all__ = ["ALL", "SOURCES", "Labels", "Pairs", "contradicted", "key_of"]

SOURCES = 32  # of a model that are told apart; all further ones are one


class Labels:
    """How the sources of labels (`source` of a label) agree with each other, by what each says of
    the model's answers. By source nothing is measured of models whose labels name none.

    `source:S`: by how much the share of labels that contradict the answers is larger among those of
    S than among all others of the window, expected to be 0; n counts the labels of S, 10 at least.
    Of regressors: by how much more often than not an error by labels of S is larger than one by
    labels of the other named sources (Mann and Whitney, Annals of Mathematical Statistics 18,
    1947), -0.5 to 0.5. `rest`: the accuracy without the labels of the source that stands out most,
    by five standard errors; by all labels where none does. 32 sources of a model are told apart,
    all further ones are `__other__`. `positive_rate`, where the profile names the positive class:
    its share among the labels, whoever told them.
    """

    name: ClassVar[str] = "labels"
    watches: ClassVar[type[Frame]] = JoinedFrame

    def measure(self, frame: JoinedFrame, profile: Profile | None) -> Partial:
        positive = None if profile is None else profile.positive
        pairs = d.pairs_of(frame, positive)
        usable, wrong = contradicted(pairs)
        part = Partial()
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
        yield from _regressed(closed, _by_name(partial, d.OFF), told)


def _classified(closed: Closed, every: IntArray, told: Mapping[str, IntArray]) -> Iterator[Sample]:
    odd, most = np.zeros(2, dtype=np.int64), 0.0
    for name, mine in told.items():
        apart = d.apart(mine, every - mine)
        if apart is None:
            continue
        value, error = apart
        yield closed.sample(f"source:{name}", value, int(mine[0]), stderr=error, expected=0.0)
        if value - d.SURE * error > most:
            odd, most = mine, value - d.SURE * error
    n, wrong = (every - odd).tolist()
    if n > 0:
        yield closed.rate("rest", n - wrong, n)


def _regressed(
    closed: Closed, off: Mapping[str, IntArray], told: Mapping[str, IntArray]
) -> Iterator[Sample]:
    every = sum(off.values(), np.zeros(d.SIZES, dtype=np.int64))
    for name, mine in off.items():
        larger = d.larger(mine, every - mine)
        if larger is not None and name not in told:
            value, error = larger
            yield closed.sample(
                f"source:{name}", value, int(mine.sum()), stderr=error, expected=0.0
            )


def _by_name(partial: Partial, of: str) -> dict[str, IntArray]:
    """The arrays of sources, in the order of their names."""
    return {name.removeprefix(of): partial[name] for name in sorted(partial) if name.startswith(of)}
