"""Packs rows whose features differ into parts that stay dense.

A part may have twice the cells that its rows really have and `SLACK` more: a handful of odd rows
is cheaper as holes in one part than as parts of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

SLACK = 65_536
# So many different features may stand in one part, which bounds how wide a block of a flood of new
# names is. What has more of them goes on in another part.
MOST_COLUMNS = 4_096
# So many of the newest parts are tried for rows, beside the one with most of their features: what
# is done for a name and a row must not grow with how many parts there are.
_NEWEST = 4

N = TypeVar("N", bound=Hashable)
T = TypeVar("T")


def is_dense(columns: int, rows: int, there: int) -> bool:
    """Whether rows that really have so many cells may stand in one part of so many columns."""
    return columns * rows <= 2 * there + SLACK and columns <= MOST_COLUMNS


@dataclass(slots=True)
class Part(Generic[N, T]):
    """What is to stand in one part: the names of its columns, how many rows, and how many cells
    they really have."""

    names: set[N] = field(default_factory=set)
    items: list[T] = field(default_factory=list)
    rows: int = 0
    there: int = 0

    def takes(self, names: frozenset[N], rows: int) -> bool:
        """Whether it stays dense with so many rows of these names, and not too wide."""
        columns = len(self.names) + len(names - self.names)
        there = self.there + rows * len(names)
        return is_dense(columns, self.rows + rows, there)

    def put(self, names: frozenset[N], rows: int, item: T) -> None:
        """Takes rows of these names."""
        self.names.update(names)
        self.items.append(item)
        self.rows += rows
        self.there += rows * len(names)


def packed(groups: Iterable[tuple[Iterable[N], int, T]]) -> list[Part[N, T]]:
    """Groups of rows, each with its names and how many rows it has, in parts; in time that is
    linear in the names of the groups.

    >>> [part.items for part in packed([("ab", 9, 1), ("ba", 9, 2), ("c", 10**6, 3)])]
    [[1, 2], [3]]
    """
    parts: list[Part[N, T]] = []
    part_of: dict[N, int] = {}
    for given, rows, item in groups:
        names = frozenset(given)
        near = _near(len(parts), part_of, names)
        number = next((i for i in near if parts[i].takes(names, rows)), len(parts))
        if number == len(parts):
            parts.append(Part())
        parts[number].put(names, rows, item)
        part_of.update(dict.fromkeys(names, number))
    return parts


def _near(parts: int, part_of: Mapping[N, int], names: frozenset[N]) -> Iterator[int]:
    """The parts that rows with these names may fit into."""
    known = Counter(map(part_of.get, names))
    known.pop(None, None)
    most = max(known, key=known.__getitem__, default=None)
    if most is not None:
        yield most
    yield from (i for i in range(parts - 1, max(parts - 1 - _NEWEST, -1), -1) if i != most)
