"""Pieces that came one after another, joined where that is cheap, and as late as can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Generic, TypeVar

_SOME, _SMALL = 16, 64  # so many pieces in a row, of fewer rows each, are joined at once

P = TypeVar("P", bound=Sized)


class Pieces(Generic[P]):
    """Pieces in order that `join` makes one of; `rows` is how many rows they have in all.

    Small ones are joined as soon as there are some: at low load a turn brings a few events, and
    to join hundreds of pieces when they are to be stored would hold everything up.

    >>> pieces = Pieces(lambda parts: sum(parts, ()))
    >>> for i in range(100):
    ...     pieces.add((i,))
    >>> len(pieces.parts), pieces.joined() == tuple(range(100))
    (10, True)
    """

    def __init__(self, join: Callable[[Sequence[P]], P]) -> None:
        self.parts: list[P] = []
        self.rows = 0
        self._join = join
        self._small = 0  # pieces at the end that are small, in a row

    def add(self, part: P) -> None:
        """Takes one more."""
        self.rows += len(part)
        self._add(part)

    def joined(self, last: int = 0) -> P:
        """All as one, or the `last` ones."""
        return self._join(self.parts[-last:])

    def bundles(self, rows: int) -> Iterator[P]:
        """All in order, put together to so many rows at least, but for the last ones."""
        first = n = 0
        for end, part in enumerate(self.parts, 1):
            n += len(part)
            if n >= rows or end == len(self.parts):
                yield self._join(self.parts[first:end])
                first, n = end, 0

    def _add(self, part: P) -> None:
        self.parts.append(part)
        self._small = self._small + 1 if len(part) < _SMALL else 0
        if self._small == _SOME:
            joined = self.joined(_SOME)
            del self.parts[-_SOME:]
            self._small = 0
            self._add(joined)
