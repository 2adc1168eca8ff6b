"""Samples of closed windows by compiled loops: all series at once, on one sheet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.arrays import filled_fast, sampled_features
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.closed import Closed, Group
from watchkeeper.detectors.arrays.rates import Measured
from watchkeeper.detectors.arrays.sampled_serving import MIDDLES, SHARES
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.banks.columns import Counts
from watchkeeper.detectors.banks.sheet import Sheet
from watchkeeper.detectors.frames import FloatArray, IntArray

_AT_ONCE = 64  # windows whose histograms are worked on: as many as the processor has at hand
_COUNTED = ("head", "sums", "numeric", "texts", "durations", "clients")
_USUAL = ("n", "centre", "scale", "mean", "sd", "known", "missing", "c_known", "c_missing")


class Histograms(NamedTuple):
    """What a group's columns have besides numbers, as `Columns` says."""

    counts: Counts
    expected_counts: Counts
    bins: IntArray


class Plan(NamedTuple):
    """Where the series of a schema are on a sheet, as `filled_fast` takes it."""

    at: IntArray
    sizes: IntArray
    firsts: tuple[int, ...]
    width: int

    def first(self, kind: str) -> int:
        """The first column of a kind."""
        return int(self.at[filled_fast.KINDS.index(kind)])


@lru_cache(maxsize=1_024)
def plan_of(schema: Schema, groups: tuple[Group, ...]) -> Plan:
    """The columns of groups, one behind the other."""
    firsts = (0, *accumulate(len(each.targets) for each in groups))
    known = {each.kind: first for each, first in zip(groups, firsts, strict=False)}
    labels, label = schema.classes, schema.positive
    place = -2 if labels is None else labels.index(label) if label in labels else -1
    columns = len(schema.numeric), len(schema.categorical), schema.numbers, schema.texts
    return Plan(
        at=np.array([known.get(kind, -1) for kind in filled_fast.KINDS]),
        sizes=np.array([*columns, len(labels or ()), place]),
        firsts=firsts[:-1],
        width=firsts[-1],
    )


def filled(
    closed: Closed, groups: tuple[Group, ...], plan: Plan, start: FloatArray, end: FloatArray
) -> tuple[Sheet, Mapping[str, Histograms]]:
    """The samples of all groups side by side, and the histograms of those kinds that have any."""
    shape = len(start), plan.width
    numbers = np.empty((3, *shape))
    to = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.int64), numbers
    _fill(closed, plan, to)
    for group, first in zip(groups, plan.firsts, strict=True):
        if not group.kind:
            _copy(group.measure(closed), to, first)
    found = _stability(closed, plan, to)
    given, n, (value, stderr, expected) = to
    begin, at = np.array(start, dtype=np.float64), np.array(end, dtype=np.float64)
    return Sheet(begin, at, given, value, n, stderr, expected), found


def _fill(closed: Closed, plan: Plan, to: filled_fast.To) -> None:
    """All but how right models were, and stability indices."""
    rows, features = len(to[0]), int(plan.sizes[0] + plan.sizes[1])
    counted = [closed.counted(name) for name in _COUNTED[:2]]
    counted += [closed.numeric, closed.texts, *(closed.counted(name) for name in _COUNTED[4:])]
    usual = [*(closed.reference(name) for name in _USUAL), closed.reference("c_counts")]
    ranks = MIDDLES, SHARES, np.empty((2, len(SHARES), 3)), np.empty((2, len(SHARES)))
    chances = np.empty((rows, features))
    given = (*counted, closed.live), tuple(usual), plan.at, plan.sizes, ranks, chances, to
    if filled_fast.fill.compiled(*given):
        _take_means(closed, plan, to)
    if features:
        column = plan.first("missing_features")
        error, expected = sampled_features.absent(chances)
        to[2][filled_fast.STDERR, :, column] = error[:, 0]
        to[2][filled_fast.EXPECTED, :, column] = expected[:, 0]


def _take_means(closed: Closed, plan: Plan, to: filled_fast.To) -> None:
    """Means of sums that are no floats."""
    features = len(closed.schema.numeric)
    values = to[2][filled_fast.VALUE]
    for kind, columns in (("means", slice(features)), ("numbers", slice(features, None))):
        first, many = plan.first(kind), len(range(closed.schema.numbers)[columns])
        if many:
            here = slice(first, first + many)
            values[:, here] = sampled_features.means(closed, columns, to[1][:, here])


def _copy(found: Measured, to: filled_fast.To, first: int) -> None:
    """Takes a group that NumPy has sampled in."""
    here = slice(first, first + found.value.shape[1])
    to[0][:, here], to[1][:, here] = found.given, found.n
    for layer, values in enumerate((found.value, found.stderr, found.expected)):
        to[2][layer][:, here] = values


def _stability(closed: Closed, plan: Plan, to: filled_fast.To) -> dict[str, Histograms]:
    """Fills the stability indices; gives all histograms."""
    kept, features = closed.reference("kept"), len(closed.schema.numeric)
    shape = *kept.shape, int(kept.max(initial=0)) + 1
    told = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    counts, c_counts = closed.reference("counts"), closed.reference("c_counts")
    for first in range(0, len(kept), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        here = (closed.numeric[part], closed.texts[part], counts[part], c_counts[part], kept[part])
        _index(here, (told[0][part], told[1][part]), first, plan, to)
    bins = closed.reference("bins").astype(np.int64)
    found = {}
    for kind, columns in (("histograms", slice(features)), ("numbers", slice(features, None))):
        binned = closed.numeric[:, columns, t.FIRST_BIN :]
        found[kind] = Histograms(binned, counts[:, columns], bins[:, columns])
    words = len(closed.schema.categorical)
    for kind, columns in (("categories", slice(words)), ("classes", slice(words, None))):
        many = kept[:, columns].astype(np.int64) + 1
        width = int(many.max(initial=1))
        mine, usual = (each[:, columns, :width] for each in told)
        found[kind] = Histograms(mine, usual, many)
    return found


def _index(
    here: tuple[Counts, ...],
    told: tuple[Counts, Counts],
    first: int,
    plan: Plan,
    to: filled_fast.To,
) -> None:
    rows = len(here[0])
    series = int(plan.sizes[0] + plan.sizes[3])
    used = np.empty((rows, series), dtype=np.int64), *np.empty((2, rows, series))
    room = rows * (int(plan.sizes[0]) * here[2].shape[2] + int(plan.sizes[3]) * told[0].shape[2])
    change, ratio = np.empty((2, room))
    filled = filled_fast.terms.compiled(*here, plan.sizes, used, told, change, ratio)
    terms = change[:filled] * np.log(ratio[:filled])
    filled_fast.indices.compiled(terms, first, plan.at, plan.sizes, used, to)
