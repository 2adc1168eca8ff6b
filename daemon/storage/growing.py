"""Columns that grow at their end and are held as they are stored: each part is brought into its
form while it is at hand, so that nothing is copied twice and memory holds what is written alone.

`most` is how many rows a column is likely to have in the end: beyond them it grows by little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.storage.columns import (
    CODES,
    DECIMALS,
    FORMS,
    MISSING,
    STEPS,
    Column,
    base_of,
    is_missing,
    lengthened,
    narrow,
    of_steps,
    raw,
    shortened,
    steps_from,
)
from watchkeeper.detectors.roster import Numbered, Roster
from watchkeeper.detectors.texts import Codes, Words
from watchkeeper.detectors.types import FloatArray, IntArray

_FEWEST, _TIMES, _SLACK = 1_024, 4, 1.25  # rows that there is room for at first, and then
_FEW = 64  # names

T = TypeVar("T")


class Growing:
    """Numbers of one kind."""

    def __init__(self, kind: npt.DTypeLike) -> None:
        self._held: npt.NDArray[Any] = np.empty(0, dtype=kind)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    @property
    def all(self) -> npt.NDArray[Any]:
        """All of them."""
        return self._held[: self._n]

    def more(self, n: int, most: int) -> npt.NDArray[Any]:
        """Room at the end for so many more, to be filled."""
        begin, end = self._n, self._n + n
        if end > len(self._held):
            size = int(_SLACK * end) if end > most else min(_TIMES * end, most)
            held = np.empty(max(size, _FEWEST), dtype=self._held.dtype)
            held[:begin] = self._held[:begin]
            self._held = held
        self._n = end
        return self._held[begin:end]

    def widen(self, kind: npt.DTypeLike) -> None:
        """Numbers of this kind from here on, which holds all that are there."""
        held = np.empty(len(self._held), dtype=kind)
        held[: self._n] = self._held[: self._n]
        self._held = held


class Times:
    """Times in seconds, as `columns.times` has them."""

    def __init__(self) -> None:
        self._base = self._low = self._high = 0
        self._held = Growing(np.int32)
        self._exact = False  # whether they are held as they are, as four bytes do not do

    def add(self, part: FloatArray, most: int) -> None:
        """Takes more in."""
        if not len(self._held):
            self._base = base_of(part)
        found = None if self._exact else steps_from(self._base, part)
        if found is not None:
            steps, low, high = found
            self._low, self._high = min(low, self._low), max(high, self._high)
            self._held.more(len(part), most)[:] = steps
            return
        if not self._exact:
            known = of_steps(self._base, self._held.all)
            self._held, self._exact = Growing(np.float64), True
            self._held.more(len(known), most)[:] = known
        self._held.more(len(part), most)[:] = part

    def ends(self) -> tuple[float, float]:
        """The least and the newest."""
        every = self._held.all
        if not self._exact:
            every = of_steps(self._base, np.array([self._low, self._high]))
        return float(every.min()), float(every.max())

    def column(self) -> Column:
        """All of them as one column."""
        form, data = raw(self._held.all)
        return Column(form, data) if self._exact else Column(STEPS + form, data, base=self._base)


class Reals:
    """Real numbers, in the shortest form that loses no bit; no room as long as none is given."""

    def __init__(self) -> None:
        self._n = 0  # that are missing, before there is anything
        self._form = 0  # which one of `FORMS`
        self._held: Growing | None = None

    def add(self, part: FloatArray, most: int) -> None:
        """Takes more in."""
        if self._held is None:
            if is_missing(part):
                self._n += len(part)
                return
            self._held = self._holding(np.full(self._n, np.nan), most)
        short = shortened(part, FORMS[self._form])
        while short is None:
            known = lengthened(self._held.all, FORMS[self._form])
            self._form += 1
            self._held = self._holding(known, most)
            short = shortened(part, FORMS[self._form])
        self._held.more(len(part), most)[:] = short

    def _holding(self, known: FloatArray, most: int) -> Growing:
        """Holds these, in the first form from this one on that can."""
        while (short := shortened(known, FORMS[self._form])) is None:
            self._form += 1
        held = Growing(FORMS[self._form].kind)
        held.more(len(known), most)[:] = short
        return held

    def column(self) -> Column:
        """All of them as one column."""
        if self._held is None:
            return Column(MISSING)
        (form, data), parts = raw(self._held.all), FORMS[self._form].parts
        return Column(DECIMALS + form, data, base=parts) if parts else Column(form, data)


class Texts:
    """Text that repeats, counted from 1 on; no room as long as nothing is given."""

    def __init__(self) -> None:
        self._n = 0
        self._places: dict[str, int] = {}
        self._held: Growing | None = None

    def add(self, part: Words, most: int) -> None:
        """Takes more in."""
        before, self._n = self._n, self._n + len(part)
        own = [self._places.setdefault(each, len(self._places) + 1) for each in part.words]
        if not self._places:
            return
        self._held = _held(self._held, before, len(self._places), most)
        room = self._held.more(len(part), most)
        if len(own) <= _FEW and own == [*range(1, len(own) + 1)]:
            room[:] = part.codes
            room += 1
        else:
            room[:] = np.array([*own, 0])[part.codes]

    def column(self) -> Column:
        """All of it as one column."""
        if self._held is None or not self._held.all.any():
            return Column(CODES + MISSING, b"", tuple(self._places))
        form, data = raw(self._held.all)
        return Column(CODES + form, data, tuple(self._places))


class Settled(NamedTuple, Generic[T]):
    """Names, each row's place among them, and how many rows each name has."""

    names: Sequence[T]
    places: npt.NDArray[Any]
    counts: IntArray


class Named(Generic[T]):
    """Each row's place among different names. As long as these are out of one roster, rows are held
    by the numbers there. `most_names` is how many a part had at most."""

    def __init__(self) -> None:
        self.most_names = 0
        self._n = 0
        self._roster: Roster[T] | None = None
        self._places: dict[T, int] | None = None  # once some are of no roster, or of another one
        self._held: Growing | None = None

    def __len__(self) -> int:
        return self._n

    def add(self, names: Sequence[T], codes: Codes, most: int) -> None:
        """Takes more in: places in these names, one a row."""
        self.most_names = max(self.most_names, len(names))
        if isinstance(names, Numbered) and self._is_of(names.roster):
            places, last = names.numbers, len(names.roster) - 1
        else:
            known = self._by_name()
            own = [known.setdefault(name, len(known)) for name in names]
            places, last = np.array(own, dtype=np.int64), len(known) - 1
        before, self._n = self._n, self._n + len(codes)
        if last > 0 or self._held is not None:
            self._held = _held(self._held, before, last, most)
            self._held.more(len(codes), most)[:] = places[codes]

    def settled(self) -> Settled[T]:
        """All of them; names that no row has may be among those of no roster."""
        places = np.zeros(self._n, dtype=np.int8) if self._held is None else self._held.all
        if self._roster is None or self._places is not None:
            names = tuple(self._places or ())
            return Settled(names, places, np.bincount(places, minlength=len(names)))
        counts = np.bincount(places)
        there = np.flatnonzero(counts)
        if len(there) < len(counts):
            among = np.zeros(len(counts), dtype=narrow(0, len(there) - 1))
            among[there] = np.arange(len(there))
            places, counts = among[places], counts[there]
        return Settled(self._roster.of(there), places, counts)

    def _is_of(self, roster: Roster[T]) -> bool:
        """Whether all names so far are of this roster."""
        if self._roster is None and self._places is None:
            self._roster = roster
        return self._roster is roster and self._places is None

    def _by_name(self) -> dict[T, int]:
        """The places of names; rows are held by these from here on."""
        if self._places is None:
            names, places, _ = self.settled()
            self._places = {name: place for place, name in enumerate(names)}
            self._held = _held(None, 0, len(names), self._n)
            self._held.more(self._n, self._n)[:] = places
        return self._places


def _held(held: Growing | None, n: int, last: int, most: int) -> Growing:
    """What holds places up to the last one: of so many rows, all of them 0 at first."""
    kind = np.dtype(narrow(0, last))
    if held is None:
        held = Growing(kind)
        held.more(n, most).fill(0)
    elif kind.itemsize > held.all.itemsize:
        held.widen(kind)
    return held
