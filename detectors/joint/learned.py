"""What a reference knows of how its features go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from watchkeeper.detectors.column_profiles import numeric_profile
from watchkeeper.detectors.frames import FloatArray, PredictionFrame
from watchkeeper.detectors.gathered import filled
from watchkeeper.detectors.joint.rows import coded
from watchkeeper.detectors.joint.together import (
    SMALLEST,
    correlations,
    left_over,
    residuals,
    scored,
    scores_of,
)
from watchkeeper.detectors.profile import BINS, JOINT_FEATURES, Joint, NumericProfile, Profile

ROWS_A_FEATURE = 50  # of a reference: with fewer, components would fit the rows and not the model
LARGEST = 20_000  # rows that are looked at
_CANDIDATES = 256
_MISSING = 0.5  # share of the rows a feature may lack


def with_joint(profile: Profile, columns: Mapping[str, npt.NDArray[Any]]) -> Profile:
    """The reference with what there is to know of its numeric columns together. That is nothing
    where fewer than two vary, or rows are too few. Of many those that go together most are taken.
    """
    varying = [p for p in profile.numeric if p.edges and p.missing <= _MISSING * p.n][:_CANDIDATES]
    rows = len(columns[varying[0].name]) if varying else 0
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, LARGEST)).astype(np.int64))
    most = min(JOINT_FEATURES, len(chosen) // ROWS_A_FEATURE)
    if min(len(varying), most) < 2:
        return replace(profile, joint=None)
    taken = {p.name: columns[p.name][chosen].astype(np.float64) for p in varying}
    return replace(profile, joint=_joint(taken, _closest(taken, varying, most)))


def learned_with_joint(profile: Profile, frames: Sequence[PredictionFrame]) -> Profile:
    """As `with_joint`, of the frames that the reference was learned from."""
    names = {each.name for each in profile.numeric}
    numeric = [{n: c for n, c in f.numeric.items() if n in names} for f in frames]
    columns = zip(map(len, frames), numeric, strict=True)
    return with_joint(profile, filled([*columns], np.nan, np.float64))


def _closest(
    columns: Mapping[str, FloatArray], profiles: Sequence[NumericProfile], most: int
) -> list[NumericProfile]:
    """Those that are correlated with others most, in order of name."""
    if len(profiles) <= most:
        return list(profiles)
    parts = [_table(columns, profiles[i : i + JOINT_FEATURES]) for i in _steps(len(profiles))]
    table = np.concatenate(parts, axis=1)
    strength = ((table.T @ table / len(table)) ** 2).sum(axis=1).round(9)
    best = sorted(range(len(profiles)), key=lambda place: (-strength[place], place))[:most]
    return [profiles[place] for place in sorted(best)]


def _steps(n: int) -> range:
    return range(0, n, JOINT_FEATURES)


def _table(columns: Mapping[str, FloatArray], profiles: Sequence[NumericProfile]) -> FloatArray:
    mine = [columns[each.name] for each in profiles]
    bins = coded(mine, [np.array(each.edges) for each in profiles], len(mine[0]))
    return scored(bins, [scores_of(each) for each in profiles])[0]


def _joint(columns: Mapping[str, FloatArray], profiles: Sequence[NumericProfile]) -> Joint:
    mine = [columns[each.name] for each in profiles]
    bins = coded(mine, [np.array(each.edges) for each in profiles], len(mine[0]))
    table, known = scored(bins, [scores_of(each) for each in profiles])
    # Rows are nearer to directions that were fitted to them than others will be.
    directions = left_over(table[::2])
    found, _ = correlations(table, known)
    return Joint(
        n=len(table),
        names=tuple(each.name for each in profiles),
        correlation=tuple(map(tuple, found.tolist())),
        directions=tuple(map(tuple, directions.tolist())),
        residual=_coarse(numeric_profile("residual", residuals(table[1::2], directions))),
    )


def _coarse(profile: NumericProfile) -> NumericProfile:
    """With half of the bins where there are many; and with one above where there is only one."""
    if not profile.edges:
        return replace(profile, edges=(profile.high + SMALLEST,), counts=(*profile.counts, 0))
    if len(profile.counts) <= BINS // 2:
        return profile
    counts = np.add.reduceat(profile.counts, np.arange(0, len(profile.counts), 2))
    return replace(profile, edges=profile.edges[1::2], counts=tuple(counts.tolist()))
