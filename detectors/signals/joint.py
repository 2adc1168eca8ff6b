"""How features go together: what no single feature's distribution shows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import ClassVar, NamedTuple

import msgspec
import numpy as np

from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.joint import together
from watchkeeper.detectors.joint.rows import ROWS, Rows, bins_of, candidates, coded, sampled
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.profile import Joint as Known
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import Frame, Partial, PredictionFrame, Sample, Window

_NAMED = 3  # features that are said to go together otherwise


class Joint:
    """How numeric features go together, for models with `multivariate = true`: drift that no
    feature shows on its own. Up to 32 features, those that are correlated with others most in the
    reference, are compared as normal scores of its bins, in the 256 requests of a window with the
    lowest keys; n counts those, 30 at least.

    `residual`: the rows' squared length along the directions that the reference's principal
    components leave over (those that explain 80 % of the variance are kept), each in units of its
    standard deviation; a histogram over the reference's quantiles, and its stability index.
    `pairs`: by how many standard errors that pair's correlation is another one than in the
    reference whose correlation changed most; in still windows that is what chance makes of as many
    pairs.

    References learn it where models ask for it, and from imported columns always. They need 50 rows
    for each feature.
    """

    name: ClassVar[str] = "joint"
    watches: ClassVar[type[Frame]] = PredictionFrame
    part: ClassVar[type[Partial]] = Rows

    def measure(self, frame: PredictionFrame, profile: Profile | None) -> Partial:
        return Rows()  # only the models that ask for it are sampled, in blocks

    def sketch(self, block: PredictionBlock, profile: Profile | None) -> Partial:
        """The sample of rows of a block of one version's window."""
        part = Rows()
        if profile is not None and profile.joint is not None and len(block):
            plan, columns = _plan(profile), map(block.numeric.get, profile.joint.names)
            bins = coded([*columns], plan.edges, len(block))
            part[plan.name] = sampled(block.key, bins)
        return part

    def wanted(self, keys: Keys, profile: Profile, into: Partial) -> IntArray:
        """The places of the rows with these keys that can be in the sample beside what it has."""
        return candidates(keys, into.get(_plan(profile).name))

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        seen = _seen(partial, profile)
        if seen is None:
            return
        closed = Closed(model, version, self.name, window)
        n, known = len(seen.scores), seen.known
        apart = together.changes(*together.correlations(seen.scores, seen.there), known)
        yield closed.sample("pairs", apart.max(), n)
        rest = together.residuals(seen.scores, np.array(known.directions))
        bins = np.searchsorted(np.array(known.residual.edges), rest, side="right")
        usual = np.array(known.residual.counts, dtype=np.int64)
        counts = np.bincount(bins, minlength=len(usual))
        yield closed.stability("residual", counts.astype(np.int64), usual)

    def explained(self, partial: Partial, profile: Profile | None, target: str) -> str:
        """Which features a finding on a target is about; "" where that cannot be told."""
        seen = _seen(partial, profile)
        if seen is None:
            return ""
        return _of_pairs(seen) if target == "pairs" else _of_residual(seen)


class _Plan(NamedTuple):
    """What it takes to code a reference's features, and the name of what is coded so."""

    name: str
    edges: list[FloatArray]
    scores: list[FloatArray]


class _Seen(NamedTuple):
    """A window's rows as scores (R, P), which of them are there, and the reference."""

    scores: FloatArray
    there: BoolArray
    known: Known


@lru_cache(maxsize=256)
def _plan(profile: Profile) -> _Plan:
    names = () if profile.joint is None else profile.joint.names
    by_name = {each.name: each for each in profile.numeric}
    chosen = [by_name[name] for name in names]
    coding = msgspec.msgpack.encode([(each.name, each.edges, each.counts) for each in chosen])
    return _Plan(
        ROWS + blake2b(coding, digest_size=6).hexdigest(),
        [np.array(each.edges) for each in chosen],
        [together.scores_of(each) for each in chosen],
    )


def _seen(partial: Partial, profile: Profile | None) -> _Seen | None:
    """What there is of a window; None where that is too little."""
    if profile is None or profile.joint is None:
        return None
    plan = _plan(profile)
    rows = partial.get(plan.name)
    if rows is None or len(rows) < together.FEWEST:
        return None
    return _Seen(*together.scored(bins_of(rows), plan.scores), profile.joint)


def _of_pairs(seen: _Seen) -> str:
    found, n = together.correlations(seen.scores, seen.there)
    apart = together.changes(found, n, seen.known)
    one, other = divmod(int(apart.argmax()), len(apart))
    names, was = seen.known.names, seen.known.correlation[one][other]
    return (
        f"{names[one]} and {names[other]} go together otherwise: "
        f"correlation {found[one, other]:.2f}, was {was:.2f}"
    )


def _of_residual(seen: _Seen) -> str:
    most = np.argsort(-together.shares(seen.scores, seen.known), kind="stable")[:_NAMED]
    names = ", ".join(seen.known.names[place] for place in most.tolist())
    return f"features go together otherwise, most of all {names}"
