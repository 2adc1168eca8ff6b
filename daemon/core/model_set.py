"""A set of models that come by their rows, and are named only for whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSet
from collections.abc import Set as AbstractSet

import numpy as np

from watchkeeper.detectors.types import BoolArray, IntArray, ObjectArray

_NO_NAMES: ObjectArray = np.empty(0, dtype=np.object_)


class ModelSet(MutableSet[str]):
    """Names of models, as any set has them.

    A turn may concern thousands of models, of which the row is known: to look up each one's name,
    and its row again where that is needed, costs more than to count its events. So they may be
    marked by their rows, with the array of all models' names. In one such array a row may get a
    name, but never another one.

    >>> names = np.array(["a", "b", "c"], dtype=object)
    >>> some = ModelSet(["c"])
    >>> some.mark(np.array([0]), names)
    >>> sorted(some)
    ['a', 'c']
    """

    __slots__ = ("_marked", "_named", "_names")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._named = set(names)
        self._names = _NO_NAMES
        self._marked: BoolArray = np.zeros(0, dtype=np.bool_)

    def mark(self, rows: IntArray, names: ObjectArray) -> None:
        """Puts in the models of these rows; `names` are those of all models."""
        if names is not self._names:
            self._named.update(self._by_row())
            self._names, self._marked = names, np.zeros(len(names), dtype=np.bool_)
        self._marked[rows] = True

    def add(self, value: str) -> None:
        """Puts in a model by its name."""
        self._named.add(value)

    def discard(self, value: str) -> None:
        """Takes a model out, if it is there."""
        self._named.discard(value)
        self._marked[self._names == value] = False

    def update(self, models: ModelSet) -> None:
        """Puts in all of another set."""
        self._named |= models._named
        if models._names is self._names:
            self._marked |= models._marked
        elif len(models._names):
            self.mark(np.flatnonzero(models._marked), models._names)

    def __sub__(self, models: AbstractSet[str]) -> ModelSet:
        if not isinstance(models, ModelSet) or models._names is not self._names or self._named:
            return ModelSet(self._all() - set(models))
        marked = self._marked & ~models._marked
        return ModelSet(set(self._names[marked].tolist()) - models._named)

    def rows(self, row_of: Callable[[str], int]) -> IntArray:
        """Their rows, from small to large; `row_of` says that of a name."""
        marked = np.flatnonzero(self._marked)
        if not self._named:
            return marked
        return np.union1d(marked, np.array([row_of(name) for name in self._named], dtype=np.int64))

    def _by_row(self) -> list[str]:
        named: list[str] = self._names[self._marked].tolist()
        return named

    def _all(self) -> set[str]:
        return self._named.union(self._by_row())

    def clear(self) -> None:
        """Takes all out."""
        self._named.clear()
        self._marked[:] = False

    def __contains__(self, value: object) -> bool:
        return value in self._named or bool((self._names[self._marked] == value).any())

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        return bool(self._named) or bool(self._marked.any())

    def __repr__(self) -> str:
        return f"ModelSet({sorted(self)!r})"
