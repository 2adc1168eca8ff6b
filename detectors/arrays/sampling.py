"""Samples of the closed windows of many models: what the signals' `samples` give, as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, overload

import numpy as np

from watchkeeper.detectors import fast
from watchkeeper.detectors.arrays import (
    sampled_accuracy,
    sampled_features,
    sampled_output,
    sampled_serving,
)
from watchkeeper.detectors.arrays.closed import Closed, Group
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import Tally
from watchkeeper.detectors.arrays.tiers import Tiers
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.sheet import Sheet
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray

_NUMBERS = ("given", "value", "n", "stderr", "expected")


class Targets(NamedTuple):
    """The series of one of the columns that `sampled` gives."""

    signal: str
    targets: tuple[str, ...]


class Windows(NamedTuple):
    """Closed windows [start, end): rows of a tally and of its references, all of length R.

    `live` says that the version is the live one: its silence is told too.
    """

    slots: IntArray
    refs: IntArray
    start: FloatArray
    end: FloatArray
    live: BoolArray


def targets_of(schema: Schema) -> list[Targets]:
    """Which columns `sampled` gives for a schema, in its order."""
    return [Targets(each.signal, each.targets) for each in _groups(schema)]


class Samples(Sequence[Columns]):
    """The samples of closed windows, group by group: columns of groups that nobody asks for are
    not made. On a `sheet` all groups lie side by side, where compiled loops sample."""

    def __init__(
        self,
        groups: Sequence[Group],
        make: Callable[[int], Columns],
        sheet: Sheet | None = None,
    ) -> None:
        self.sheet = sheet
        self._groups, self._make = groups, make
        self._made: list[Columns | None] = [None] * len(groups)

    def __len__(self) -> int:
        return len(self._groups)

    @overload
    def __getitem__(self, place: int) -> Columns: ...
    @overload
    def __getitem__(self, place: slice) -> list[Columns]: ...
    def __getitem__(self, place: int | slice) -> Columns | list[Columns]:
        if isinstance(place, slice):
            return [self[i] for i in range(len(self))[place]]
        made = self._made[place]
        if made is None:
            made = self._made[place] = self._make(place)
        return made

    @property
    def signals(self) -> list[str]:
        """That of each group."""
        return [group.signal for group in self._groups]

    def of(self, *signals: str) -> Iterator[Columns]:
        """The columns of some signals."""
        for place, group in enumerate(self._groups):
            if group.signal in signals:
                yield self[place]


def sampled(tally: Tally | Tiers, references: References, windows: Windows) -> Samples:
    """The samples of closed windows.

    Cut long lists of windows: a few hundred at once are fastest.
    """
    closed = Closed(tally, references, windows.slots, windows.refs, windows.live)
    groups = _groups(tally.schema)
    with np.errstate(all="ignore"):  # what is not given is computed along, and not looked at
        if fast.available():
            return _filled(closed, groups, windows)
        made = [_columns(each, windows, each.measure(closed)._asdict()) for each in groups]
    return Samples(groups, made.__getitem__)


def _filled(closed: Closed, groups: tuple[Group, ...], windows: Windows) -> Samples:
    from watchkeeper.detectors.arrays import filled  # of use only with numba

    plan = filled.plan_of(closed.schema, groups)
    sheet, histograms = filled.filled(closed, groups, plan, windows.start, windows.end)
    firsts = plan.firsts

    def make(place: int) -> Columns:
        group, first = groups[place], firsts[place]
        here = slice(first, first + len(group.targets))
        numbers = {name: getattr(sheet, name)[:, here] for name in _NUMBERS}
        more = histograms.get(group.kind)
        return _columns(group, windows, numbers | (more._asdict() if more else {}))

    return Samples(groups, make, sheet)


def _columns(group: Group, windows: Windows, found: dict[str, Any]) -> Columns:
    return Columns(group.signal, group.targets, windows.start, windows.end, **found)


@lru_cache(maxsize=1_024)
def _groups(schema: Schema) -> tuple[Group, ...]:
    """All groups of series, signals in the order of `SIGNALS`."""
    return tuple(_all_groups(schema))


def _all_groups(schema: Schema) -> Iterator[Group]:
    yield from sampled_accuracy.groups(schema)
    yield from (sampled_serving.CLIENTS, sampled_serving.ERRORS)
    yield from sampled_features.groups(schema)
    yield from sampled_accuracy.groups_of_labels(schema)
    yield sampled_serving.LATENCY
    yield from sampled_output.groups(schema)
    yield sampled_serving.VOLUME
