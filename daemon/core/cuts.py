"""Rows of a block, window by window of each version: what is sampled is counted into its part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.state import State
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.types import IntArray, Partial


class Cut(NamedTuple):
    """The rows that are of one window of one version; `width` is that of the model's windows."""

    model: ModelState
    version: str
    window: int
    width: float
    rows: IntArray

    @property
    def profile(self) -> Profile | None:
        """What the window is measured against."""
        return self.model.reference(self.version, self.window * self.width)

    def part(self, signal: str) -> Partial:
        """The part of the window that is counted into."""
        here = self.model.partials.setdefault(self.window, {})
        return here.setdefault((self.version, signal), part_of(signal))


def cuts(state: State, members: IntArray, window: IntArray, chosen: IntArray) -> Iterator[Cut]:
    """Cuts the chosen rows of a block; `members` and `window` are those of all of its rows."""
    for row in _different(members[chosen]):
        member = state.arrays.ledger.names[row]
        model, width = state.models[member.model], state.policy(member.model).window_s
        mine = chosen[members[chosen] == row]
        for index in _different(window[mine]):
            yield Cut(model, member.version, index, width, mine[window[mine] == index])


def cuts_where(state: State, members: IntArray, window: IntArray, wish: str) -> Iterator[Cut]:
    """Cuts the rows of the models whose users asked for this, a column of the clocks."""
    asked = state.arrays.clocks.arrays[wish]
    if not asked.any():
        return iter(())
    chosen = asked[state.arrays.ledger.members.arrays["model"][members]]
    return cuts(state, members, window, np.flatnonzero(chosen))


def _different(numbers: IntArray) -> list[int]:
    """The different numbers, ascending; as a rule there is only one."""
    if len(numbers) and (numbers == numbers[0]).all():
        return [int(numbers[0])]
    return [int(each) for each in np.unique(numbers)]
