"""References of one schema as arrays: what windows are measured against and compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays.grown import Grown
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.frames import IntArray
from watchkeeper.detectors.keys import keys_of_known
from watchkeeper.detectors.profile import (
    BINS,
    CategoricalProfile,
    NumericProfile,
    Profile,
)

EDGES = BINS - 1
FEWEST = 7  # categories there is room for at least; more room is twice as many and one
NO_KEY = np.uint64(0xFFFFFFFFFFFFFFFF)
_SMALL, _LARGE = np.dtype(np.uint16), np.dtype(np.int32)  # of counts
_ROOM = 0.05  # of the reference's range, on both sides
_NO_EDGES, _NO_COUNTS = (np.inf,) * EDGES, (0,) * BINS


class References(Grown):
    """One row a reference. With P numeric and Q categorical columns, a row holds

    of the whole: `n` (events);
    numeric, shape (P,): `centre`, `scale`, `low`, `high` (beyond which a value is out of range),
    `mean`, `sd`, `known` (events of the reference), `missing`, `bins` (how many are used);
    (P, 31): `edges`, ascending, infinite from `bins` - 1 on, of four bytes until one has more
    digits; (P, 32): `counts`, of two bytes until one is larger: `read` gives them in a type in
    which they can be added up;
    categorical, (Q,): `c_known`, `c_missing`, `kept` (how many categories are); (Q, K): `keys`,
    ascending, and `places`, the category's number for each of these keys; (Q, K + 1): `c_counts` by
    number, the last being that of all others. K grows with the references, up to 63.
    """

    def __init__(self, schema: Schema) -> None:
        p, q = schema.numbers, schema.texts
        self.schema = schema
        super().__init__(
            {
                "n": (np.int64, ()),
                **dict.fromkeys(
                    ("centre", "scale", "low", "high", "mean", "sd"), (np.float64, (p,))
                ),
                **dict.fromkeys(("known", "missing", "bins"), (np.int32, (p,))),
                "edges": (np.float32, (p, EDGES)),
                "counts": (_SMALL, (p, BINS)),
                **dict.fromkeys(("c_known", "c_missing", "kept"), (np.int32, (q,))),
                "keys": (np.uint64, (q, FEWEST)),
                "places": (np.uint8, (q, FEWEST)),
                "c_counts": (np.int32, (q, FEWEST + 1)),
            }
        )

    def add(self, profile: Profile) -> int:
        """The row of a new reference, which must be of this schema."""
        self._reach(max((len(each.categories) for each in _categorical(profile)), default=0))
        row = self.claim_one()
        self.arrays["n"][row] = profile.n
        self._numbers(row, list(_numeric(profile)))
        for column, texts in enumerate(_categorical(profile)):
            self._texts(row, column, texts)
        return row

    def read(self, name: str, rows: IntArray) -> npt.NDArray[Any]:
        """An array's rows of these references."""
        found = self.arrays[name][rows]
        return found.astype(_LARGE) if found.dtype == _SMALL else found

    def _reach(self, categories: int) -> None:
        """Makes room for so many categories of a column."""
        room = held = self.arrays["keys"].shape[2]
        while room < categories:
            room = 2 * room + 1
        if room == held:
            return
        others = self.arrays["c_counts"][..., held]
        self.widen({"keys": room, "places": room, "c_counts": room + 1})
        self.arrays["keys"][..., held:] = NO_KEY
        counts = self.arrays["c_counts"]
        counts[..., held], counts[..., -1] = 0, others

    def _numbers(self, row: int, columns: Sequence[NumericProfile]) -> None:
        rooms = [(each.high / 2 - each.low / 2) * 2 * _ROOM for each in columns]
        values = {
            "centre": [each.centre for each in columns],
            "scale": [each.scale for each in columns],
            "low": [each.low - room for each, room in zip(columns, rooms, strict=True)],
            "high": [each.high + room for each, room in zip(columns, rooms, strict=True)],
            "mean": [each.mean for each in columns],
            "sd": [each.sd for each in columns],
            "known": [each.n for each in columns],
            "missing": [each.missing for each in columns],
            "bins": [len(each.counts) for each in columns],
        }
        for name, value in values.items():
            self.arrays[name][row] = np.array(value).reshape(self.arrays[name].shape[1:])
        self._edges(row, columns)
        padded = [(*each.counts, *_NO_COUNTS[len(each.counts) :]) for each in columns]
        counts = np.array(padded, dtype=np.int64).reshape(-1, BINS)
        if counts.max(initial=0) > np.iinfo(self.arrays["counts"].dtype).max:
            self.retype("counts", _LARGE)
        self.arrays["counts"][row] = counts

    def _edges(self, row: int, columns: Sequence[NumericProfile]) -> None:
        padded = [(*each.edges, *_NO_EDGES[len(each.edges) :]) for each in columns]
        edges = np.array(padded, dtype=np.float64).reshape(-1, EDGES)
        with np.errstate(over="ignore"):
            whole = (edges.astype(self.arrays["edges"].dtype) == edges).all()
        if not whole:
            self.retype("edges", np.float64)
        self.arrays["edges"][row] = edges

    def _texts(self, row: int, column: int, profile: CategoricalProfile) -> None:
        known = keys_of_known(profile.categories)
        order = np.argsort(known)
        keys, places = self.arrays["keys"][row, column], self.arrays["places"][row, column]
        keys[:] = NO_KEY
        keys[: len(known)] = known[order]
        places[: len(known)] = order
        counts = self.arrays["c_counts"][row, column]
        counts[: len(profile.counts)] = profile.counts
        counts[-1] = profile.other
        self.arrays["c_known"][row, column] = profile.n
        self.arrays["c_missing"][row, column] = profile.missing
        self.arrays["kept"][row, column] = len(profile.categories)


def _numeric(profile: Profile) -> Iterator[NumericProfile]:
    yield from profile.numeric
    yield from (each for each in (profile.score, profile.value) if each is not None)


def _categorical(profile: Profile) -> Sequence[CategoricalProfile]:
    return (*profile.categorical, *([] if profile.classes is None else [profile.classes]))
