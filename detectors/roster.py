"""Names that are numbered once, so that what is known of them is looked up by number.

Where there are ten thousand models, a batch has events of thousands: to look each up by name costs
more than to count its events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from watchkeeper.detectors.frames import IntArray, ObjectArray

_WORTH = 16  # rows for each name of a roster

T = TypeVar("T")
N = TypeVar("N", bound="Numbered[Any]")


class Roster(Generic[T]):
    """Names by number, from 0 on; a name never gets another number."""

    def __init__(self) -> None:
        self._names: ObjectArray = np.empty(16, dtype=np.object_)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def add(self, name: T) -> None:
        """The name of the next number."""
        if self._used == len(self._names):
            self._names = np.concatenate([self._names, np.empty_like(self._names)])
        self._names[self._used : self._used + 1] = _single(name)
        self._used += 1

    def of(self, numbers: IntArray) -> Numbered[T]:
        """The names of these numbers."""
        return self.named(numbers, Numbered)

    def named(self, numbers: IntArray, kind: type[N]) -> N:
        """The names of these numbers, as such a tuple."""
        found = kind(self._names[numbers].tolist())
        found.roster, found.numbers = self, numbers
        return found


class Numbered(tuple[T, ...]):
    """Names out of a roster, with their numbers there.

    >>> roster = Roster()
    >>> for name in "abc":
    ...     roster.add(name)
    >>> roster.of(np.array([2, 0]))
    ('c', 'a')
    """

    roster: Roster[T]
    numbers: IntArray


class Remembered(Generic[T]):
    """Numbers that were looked up of names, as long as they hold: -1 is looked up again."""

    def __init__(self) -> None:
        self._roster: Roster[T] | None = None
        self._known: IntArray = np.zeros(0, dtype=np.int64)
        self._last: tuple[Sequence[T], IntArray] | None = None

    def forget(self) -> None:
        """Nothing that was looked up holds any more."""
        self._roster = self._last = None

    def of(self, names: Sequence[T], look_up: Callable[[T], int]) -> IntArray:
        """The number of each name; of the same names several in a row may ask."""
        if not isinstance(names, Numbered):
            return np.array([look_up(name) for name in names], dtype=np.int64)
        if self._last is not None and self._last[0] is names:
            return self._last[1]
        if names.roster is not self._roster:
            self._roster, self._known = names.roster, np.full(16, -1, dtype=np.int64)
        short = len(names.roster) - len(self._known)
        if short > 0:
            more = np.full(max(short, len(self._known)), -1, dtype=np.int64)
            self._known = np.concatenate([self._known, more])
        found = self._known[names.numbers]
        if found.min(initial=0) < 0:
            unknown = np.flatnonzero(found < 0)
            found[unknown] = [look_up(names[place]) for place in unknown.tolist()]
            self._known[names.numbers[unknown]] = found[unknown]
        self._last = None if found.min(initial=0) < 0 else (names, found)
        found.flags.writeable = False
        return found


class Common(Generic[T]):
    """The number that all names of a roster have, where it is one and the same: then it is that of
    any of them. Asked for once so many rows came that to look each name up is little beside them.
    """

    def __init__(self) -> None:
        self._roster: Roster[T] | None = None
        self._asked = self._rows = 0
        self._number = -1

    def of(self, roster: Roster[T], rows: int, look_up: Callable[[T], int]) -> int:
        """The number, behind so many more rows; -1 where names may differ, or one has none yet."""
        if roster is not self._roster:
            self._roster, self._asked, self._rows, self._number = roster, 0, 0, -1
        self._rows += rows
        n, known = len(roster), self._asked
        if known < n and self._rows >= _WORTH * n:
            found = set(map(look_up, roster.of(np.arange(known, n))))
            if known:
                found.add(self._number)
            self._asked, self._number = n, found.pop() if len(found) == 1 else -1
        return self._number if self._asked == n else -1


def first_of_each(parts: Iterable[IntArray]) -> IntArray:
    """The different numbers, in order of their first."""
    every = np.concatenate(list(parts))
    n = len(every)
    first = np.full(int(every.max(initial=-1)) + 1, n, dtype=np.int64)
    first[every[::-1]] = np.arange(n - 1, -1, -1)  # what is written last stays: the first place
    different = np.flatnonzero(first < n)
    return different[np.argsort(first[different], kind="stable")]


def _single(name: object) -> ObjectArray:
    """One object as an array, also where it is a tuple."""
    column = np.empty(1, dtype=np.object_)
    column[0] = name
    return column
