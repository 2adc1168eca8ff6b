"""Counts of labels by who told them, and what these say of each other.

Of each source a part holds `told:S`, how many of its labels say whether an answer was right, and
how many of these contradict it; `off:S`, a histogram of the sizes of regressors' errors by powers
of two; and `size:S`, the exact sum of these sizes. `all` is as `told:S` of all labels, whoever
told them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.keys import Keys, keys_of
from watchkeeper.detectors.signals._exact import limbs_of
from watchkeeper.detectors.types import (
    BoolArray,
    FloatArray,
    IntArray,
    JoinedFrame,
    Partial,
)

ALL, TOLD, OFF, SIZE, TRUTHS = "all", "told:", "off:", "size:", "truths:"
OTHERS = "__other__"  # the name of all sources that are not told apart
COUNTED = 1_024  # sources that a part of a window counts apart; all further ones are one
MEASURED = 256  # of them, where errors are measured: these take more room
# Standard errors by which a source has to stand out for the others to be looked at without it.
# Few: what it says must not be taken for what they say, even where it told few labels. Where it
# stood out by chance, what they say hardly changes.
STANDING_OUT = 2.0
LEAST = 10  # labels of a source that are compared with others
SIZES = 256  # of errors: 0, and powers of two from 2**-127 to 2**127
_MIDDLE = 128


class Pairs(NamedTuple):
    """Answers with their truth, columns of equal length; labels are keys, 0 is none. `positive` is
    that of the positive class, 0 where the reference names none."""

    said: Keys
    truth: Keys
    positive: np.uint64
    score: FloatArray
    predicted_value: FloatArray
    value: FloatArray


class Told(Partial):
    """A part of a window. Up to 1,024 sources are counted apart, 256 where errors are measured, and
    which of them matter is decided once the window is closed. Of more it keeps those whose names
    have the lowest keys: they are the same however events are cut and merged, and all of their
    labels are counted (as with inputs in `_repeated`). That cannot go by how many labels a source
    told, nor by who is told apart so far: both are other ones at each cut.
    """

    def merge(self, other: Mapping[str, IntArray]) -> None:
        """Adds another part of the same window."""
        super().merge(other)
        names = sources_of(self) - {OTHERS}
        if len(names) > MEASURED:
            room = room_for(any(name.startswith(OFF) for name in self))
            if len(names) > room:
                self.fold(lowest(names, room))

    def fold(self, names: Iterable[str]) -> None:
        """Makes all sources but these one."""
        kept = {*names, OTHERS}
        for name in sorted(sources_of(self) - kept):
            for of in _BY_SOURCE:
                if of + name in self:
                    super().merge({of + OTHERS: self.pop(of + name)})


def room_for(errors: bool) -> int:
    """How many sources a part counts apart."""
    return MEASURED if errors else COUNTED


def lowest(names: Iterable[str], room: int) -> list[str]:
    """Those of the names that have the lowest keys."""
    ordered = sorted(names)
    return [ordered[i] for i in np.argsort(keys_of(ordered), kind="stable")[:room].tolist()]


def sources_of(part: Collection[str]) -> set[str]:
    """The sources that a part counts labels of."""
    return {name.partition(":")[2] for name in part if name.startswith(_BY_SOURCE)}


_BY_SOURCE = TOLD, OFF, SIZE


def pairs_of(frame: JoinedFrame, positive: str | None) -> Pairs:
    """The columns of a frame."""
    return Pairs(
        keys_of(frame.predicted_label.tolist()),
        keys_of(frame.label.tolist()),
        key_of(positive),
        frame.score,
        frame.predicted_value,
        frame.value,
    )


def key_of(text: str | None) -> np.uint64:
    """The key of a text, 0 for none."""
    return np.uint64(0) if text is None else np.uint64(keys_of([text])[0])


def contradicted(pairs: Pairs) -> tuple[BoolArray, BoolArray]:
    """Which rows say whether the answer was right, and which of them that it was not: as the
    signal `accuracy` counts them."""
    said = pairs.said != 0
    by_score = np.isfinite(pairs.score) & ~said & bool(pairs.positive)
    usable = (pairs.truth != 0) & (said | by_score)
    positive = (pairs.truth == pairs.positive) & bool(pairs.positive)
    same = np.where(said, pairs.said == pairs.truth, (pairs.score >= 0.5) == positive)
    return usable, usable & ~same


def tallied(usable: BoolArray, hits: BoolArray) -> IntArray:
    """How many rows can be used, and how many of them are hits."""
    return np.array([np.count_nonzero(usable), np.count_nonzero(hits)], dtype=np.int64)


def by_source(names: list[str], code: IntArray, pairs: Pairs) -> Partial:
    """The part of rows; `code` is each one's place in `names`, -1 for nobody."""
    usable, wrong = contradicted(pairs)
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(pairs.predicted_value - pairs.value)
    usable, measured = usable & (code >= 0), np.isfinite(off) & (code >= 0)
    names, code = _fewer(names, code, usable | measured, room_for(bool(measured.any())))
    part, many = Partial(), len(names)
    of, not_right = (np.bincount(code[rows], minlength=many) for rows in (usable, usable & wrong))
    told = np.stack((of, not_right), axis=1).astype(np.int64)
    for place in np.flatnonzero(of).tolist():
        part[f"{TOLD}{names[place]}"] = told[place].copy()
    if measured.any():
        _add_errors(part, names, code[measured], off[measured])
    return part


def _fewer(
    names: list[str], code: IntArray, counted: BoolArray, room: int
) -> tuple[list[str], IntArray]:
    """The names and codes with no more names than there is room for, as `Told` would keep them, so
    that no arrays are made of the others; only of such as something is counted of."""
    if len(names) <= room:
        return names, code
    places = {names[i]: i for i in np.unique(code[counted]).tolist() if names[i] != OTHERS}
    kept = lowest(places, room)
    place = np.full(len(names) + 1, len(kept), dtype=np.int64)
    place[[places[name] for name in kept]] = np.arange(len(kept))
    place[-1] = -1  # nobody
    return [*kept, OTHERS], place[code]


def _add_errors(part: Partial, names: list[str], code: IntArray, off: FloatArray) -> None:
    """Counts the sizes of errors by source, and sums them up."""
    many = len(names)
    table = np.bincount(code * SIZES + _sizes(off), minlength=many * SIZES).reshape(many, SIZES)
    sums = limbs_of(off, code, many)
    for place in np.unique(code).tolist():
        part[f"{OFF}{names[place]}"] = table[place].astype(np.int64)
        part[f"{SIZE}{names[place]}"] = sums[place]


def _sizes(off: FloatArray) -> IntArray:
    """The bin of each error: errors of 0 are alone in the first."""
    exponent = np.frexp(off)[1].astype(np.int64)
    sizes: IntArray = np.where(off == 0.0, 0, np.clip(exponent + _MIDDLE, 1, SIZES - 1))
    return sizes


def apart(mine: IntArray, others: IntArray) -> tuple[float, float] | None:
    """By how much more of a source's labels contradict the answers than of all others' do, and the
    standard error of that where both are alike; None where there are too few."""
    (n, wrong), (m, others_wrong) = mine.tolist(), others.tolist()
    if n < LEAST or m <= 0:
        return None
    p = (others_wrong + 2) / (m + 4)  # never 0 nor 1: Agresti and Coull (1998)
    return wrong / n - others_wrong / m, math.sqrt(p * (1 - p) * (1 / n + 1 / m))


def larger(mine: IntArray, others: IntArray) -> tuple[float, float] | None:
    """How much more often than not an error of a source is larger than one of the others, ties
    counting half, and the standard error of that where both are alike; None where there are too
    few."""
    n, m = int(mine.sum()), int(others.sum())
    if n < LEAST or not m:
        return None
    below = np.cumsum(others) - others
    twice = sum(a * b for a, b in zip(mine.tolist(), (2 * below + others).tolist(), strict=True))
    return twice / (2 * n * m) - 0.5, math.sqrt((n + m + 1) / (12 * n * m))
