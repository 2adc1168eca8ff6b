"""What happened to the events of each model in one step, counted by the models' rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from watchkeeper.detectors.types import IntArray, ObjectArray


class Happened(IntEnum):
    """The fields of `Counts`, in their order."""

    PREDICTIONS = 0
    LABELS = 1
    LATE = 2
    JOINED = 3
    UNMATCHED = 4
    CONFLICTS = 5


@dataclass(slots=True)
class Counts:
    """What happened to one model's events."""

    predictions: int = 0
    labels: int = 0
    late: int = 0
    joined: int = 0
    unmatched: int = 0
    conflicts: int = 0


_NO_NAMES: ObjectArray = np.empty(0, dtype=np.object_)
_NO_ROWS: IntArray = np.empty(0, dtype=np.int64)
_NO_COUNTS: IntArray = np.empty((len(Happened), 0), dtype=np.int64)


class Counted(Mapping[str, Counts]):
    """What happened in one step, by model.

    There may be thousands of models, and nobody may ask: it is held by their `rows`, each once, of
    which `names` is the models' array (see `ModelSet`); `n` has a row for each thing that
    `Happened` and a column for each of `rows`. Objects by name are made when they are asked for.

    >>> Counted.of({"fraud": Counts(predictions=3)})["fraud"].predictions
    3
    """

    def __init__(self, names: ObjectArray, rows: IntArray, n: IntArray) -> None:
        self.names, self.rows, self.n = names, rows, n
        self._by_name: dict[str, Counts] | None = None

    @classmethod
    def of(cls, counts: Mapping[str, Counts]) -> Counted:
        """Counts that are objects already."""
        names = np.array(list(counts), dtype=np.object_)
        n = [[getattr(c, what.name.lower()) for c in counts.values()] for what in Happened]
        return cls(names, np.arange(len(names)), np.array(n, dtype=np.int64))

    @classmethod
    def nothing(cls) -> Counted:
        """A step in which nothing happened."""
        return cls(_NO_NAMES, _NO_ROWS, _NO_COUNTS)

    def condensed(self) -> Counted:
        """Without the models of which there is nothing to tell."""
        some = np.flatnonzero(self.n.any(axis=0))
        return Counted(self.names, self.rows[some], self.n[:, some])

    @classmethod
    def together(cls, parts: Sequence[Counted]) -> Counted:
        """What happened in several steps."""
        if len(parts) == 1:
            return parts[0]
        names = [name for part in parts for name in part.models()]
        n = [part.n for part in parts]
        return cls(*_added_up(names, np.concatenate(n, axis=1)))

    def models(self) -> list[str]:
        """The name of each row's model."""
        named: list[str] = self.names[self.rows].tolist()
        return named

    def __getitem__(self, model: str) -> Counts:
        return self._named()[model]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named())

    def __len__(self) -> int:
        return len(self._named())

    def _named(self) -> dict[str, Counts]:
        if self._by_name is None:
            named = zip(self.models(), self.n.T.tolist(), strict=True)
            self._by_name = {name: Counts(*column) for name, column in named}
        return self._by_name


class Counting:
    """Adds up whole columns of events; `told` gives what they came to, and begins anew."""

    def __init__(self) -> None:
        self._n: IntArray = np.zeros((len(Happened), 0), dtype=np.int64)

    def add(self, what: Happened, models: IntArray) -> None:
        """One for each event; `models` are the rows of theirs."""
        if not len(models):
            return
        counts = np.bincount(models)
        self._reach(len(counts))
        self._n[what, : len(counts)] += counts

    def add_to(self, what: Happened, model: int, n: int) -> None:
        """So many of one model."""
        self._reach(model + 1)
        self._n[what, model] += n

    def told(self, names: ObjectArray) -> Counted:
        """What was counted since the last call; `names` are those of the models, by row."""
        rows = np.flatnonzero(self._n.any(axis=0))
        n = self._n[:, rows]
        self._n[:, rows] = 0
        return Counted(names, rows, n)

    def _reach(self, rows: int) -> None:
        more = rows - self._n.shape[1]
        if more > 0:
            self._n = np.pad(self._n, ((0, 0), (0, max(more, self._n.shape[1]))))


def _added_up(names: Sequence[str], n: IntArray) -> tuple[ObjectArray, IntArray, IntArray]:
    """The different names, their rows, and the sums of the columns that have one name."""
    row = {name: i for i, name in enumerate(dict.fromkeys(names))}
    total = np.zeros((len(n), len(row)), dtype=np.int64)
    np.add.at(total.T, np.array([row[name] for name in names], dtype=np.int64), n.T)
    return np.array(list(row), dtype=np.object_), np.arange(len(row)), total
