"""What is known of how well the versions of a model in operation do, before their labels come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.estimation.celled import CELLS, Celled, predecessor
from watchkeeper.detectors.estimation.confident import Confident
from watchkeeper.detectors.estimation.inputs import Inputs
from watchkeeper.detectors.estimation.judged import BINS, TARGETS, Judged
from watchkeeper.detectors.estimation.kinds import Kind
from watchkeeper.detectors.estimation.regression import Regression
from watchkeeper.detectors.estimation.running import Taught
from watchkeeper.detectors.estimation.trust import Trusts
from watchkeeper.detectors.types import FloatArray, StateError

VERSIONS_LIMIT = 20  # versions of a model that are told apart

_LAYOUT = 2
_AT_ONCE = 256  # models that are dumped together: few enough to stay in the processor's cache
_T = TypeVar("_T", Taught, Celled, Inputs)


class Estimates:
    """What is known of the scores of one model's versions, or of the `cells` of their answers.

    A calibration is of a version, since another version's scores mean something else: a new one
    begins with its predecessor's, but has to earn trust anew, and keeps to its own as soon as
    there are truths enough. Where there are too many, the one goes that was asked for longest ago.
    """

    def __init__(self) -> None:
        self.versions: dict[str, Taught] = {}
        self.cells: dict[str, Celled] = {}
        self.inputs: dict[str, Inputs] = {}

    def of(self, version: str, before: Iterable[str]) -> Taught:
        """What a version's truths taught; for a new one what those of the first known of the
        versions `before` it did."""
        known = self.versions.get(version)
        if known is None:
            known = Taught(next((self.versions[v] for v in before if v in self.versions), None))
        _use(self.versions, version, known)
        return known

    def cells_of(self, version: str, kind: Kind, cut: str, before: Iterable[str]) -> Celled:
        """As `of`, by cells. Where its reference cuts others than it did, a version begins anew."""
        known = self.cells.get(version)
        if known is None or (known.kind, known.cut) != (kind, cut):
            known = Celled(kind, cut, predecessor(self.cells, before))
        _use(self.cells, version, known)
        return known

    def names(self) -> set[str]:
        """The versions of which anything is known."""
        return {*self.versions, *self.cells, *self.inputs}

    def known(self, version: str) -> Taught | Celled | None:
        """What a version's truths taught, if they did."""
        return self.versions.get(version) or self.cells.get(version)

    def forget_normal(self, version: str) -> None:
        """What is normal of a version's stretches is learned anew."""
        if version in self.versions:
            self.versions[version].judged.forget()

    def forget(self, version: str) -> None:
        """Lets go of what a version's truths taught."""
        self.versions.pop(version, None)
        self.cells.pop(version, None)
        self.inputs.pop(version, None)

    def inputs_of(self, version: str, cut: str) -> Inputs:
        """The sampled inputs of a version; none where its reference cuts them otherwise by now."""
        known = self.inputs.get(version)
        if known is None or known.cut != cut:
            known = Inputs(cut)
        _use(self.inputs, version, known)
        return known

    def state(self) -> dict[str, Any]:
        """All that was learned, as plain data."""
        plain: dict[str, Any] = msgspec.to_builtins(next(dumped([self])), builtin_types=(bytes,))
        return plain

    @classmethod
    def restored(cls, state: object) -> Estimates:
        """What `state` gave. Raises `StateError` for anything else."""
        try:
            stored = msgspec.convert(state, Stored)
        except msgspec.ValidationError as error:
            raise StateError(f"stored estimates are damaged: {error}") from error
        if stored.version != _LAYOUT:
            raise StateError("stored estimates have another layout")
        made = cls()
        made.versions = {each.name: each.taught() for each in stored.versions}
        made.cells = {each.name: each.taught() for each in stored.cells}
        made.inputs = {name: Inputs.of_dump(each) for name, each in stored.inputs.items()}
        return made


def dumped(several: Sequence[Estimates]) -> Iterator[Stored]:
    """The `state` of each, to be encoded before more is learned: of many models at once, each costs
    much less."""
    for first in range(0, len(several), _AT_ONCE):
        some = several[first : first + _AT_ONCE]
        versions = iter(_Version.of_all([v for each in some for v in each.versions.items()]))
        for each in some:
            inputs = {version: sampled.dump() for version, sampled in each.inputs.items()}
            cells = [_Cells.of(*cell) for cell in each.cells.items()]
            mine = list(islice(versions, len(each.versions)))
            yield Stored(_LAYOUT, mine, cells, inputs)


def _use(known: dict[str, _T], version: str, taught: _T) -> None:
    """Puts what a version taught last of all, as what was used last; lets the first go where there
    are more than may be."""
    if next(reversed(known), None) == version and known[version] is taught:
        return
    known.pop(version, None)
    known[version] = taught
    while len(known) > VERSIONS_LIMIT:
        del known[next(iter(known))]


# ------------------------------------------------------------------------------------------ stored


class _Version(msgspec.Struct):
    name: str
    own: bool
    counts: bytes
    fresh: bytes
    record: bytes
    judged: Judged | None = None

    @classmethod
    def of_all(cls, known: Sequence[tuple[str, Taught]]) -> list[_Version]:
        counts = _packed([taught.counts for _, taught in known], "<f4")
        fresh = _packed([taught.fresh for _, taught in known], "<i4")
        return [cls.of(*each) for each in zip(known, counts, fresh, strict=True)]

    @classmethod
    def of(cls, known: tuple[str, Taught], counts: bytes, fresh: bytes) -> _Version:
        name, taught = known
        record = taught.record.astype("<f8").tobytes()
        judged = None if taught.judged.new else taught.judged
        return cls(name, taught.own, counts, fresh, record, judged)

    def taught(self) -> Taught:
        made = Taught()
        made.own = self.own
        made.counts = _unpacked(self.counts, "<f4").astype(np.float32)
        made.fresh = _unpacked(self.fresh, "<i4").astype(np.int32)
        made.record = _record(self.record, len(TARGETS))
        made.judged = Judged() if self.judged is None else self.judged
        return made


class _Cells(msgspec.Struct):
    """`scale` is that of a regressor's errors, 0 for a classifier."""

    name: str
    cut: str
    scale: float
    own: bool
    counts: bytes
    fresh: bytes
    record: bytes

    @classmethod
    def of(cls, name: str, taught: Celled) -> _Cells:
        scale = taught.kind.scale if isinstance(taught.kind, Regression) else 0.0
        parts = (taught.counts, taught.fresh, taught.record)
        counts, fresh, record = (each.astype("<f8").tobytes() for each in parts)
        return cls(name, taught.cut, scale, taught.own, counts, fresh, record)

    def taught(self) -> Celled:
        kind = Regression(CELLS, self.scale) if self.scale > 0.0 else Confident(CELLS)
        made = Celled(kind, self.cut)
        made.own = self.own
        made.counts, made.fresh = (_sums(each, kind) for each in (self.counts, self.fresh))
        made.record = _record(self.record, len(kind.measures))
        return made


class Stored(msgspec.Struct):
    """As plain data it is a `state`."""

    version: int
    versions: list[_Version]
    cells: list[_Cells] = []
    inputs: dict[str, tuple[str, bytes, bytes]] = {}


def _sums(stored: bytes, kind: Kind) -> FloatArray:
    if len(stored) != 8 * kind.parts * kind.cells:
        raise StateError("stored estimates are damaged: cells have another size than they say")
    sums = np.frombuffer(stored, dtype="<f8").reshape(kind.parts, kind.cells)
    if not (np.isfinite(sums).all() and (sums >= 0).all()):
        raise StateError("stored estimates are damaged: numbers that no sum could be")
    return np.array(sums, dtype=np.float64)


def _record(stored: bytes, measures: int) -> FloatArray:
    trusts = Trusts(measures)
    trusts.load(0, stored)
    record: FloatArray = trusts.sums[0].copy()
    return record


def _packed(tables: Sequence[npt.NDArray[Any]], kind: str) -> list[bytes]:
    """Counts (2, BINS) without the empty ones, of each table."""
    if not tables:
        return []
    flat = np.concatenate(tables).reshape(len(tables), 2 * BINS)
    used = flat != 0
    bits, values = np.packbits(used, axis=1), flat[used].astype(kind).tobytes()
    ends = (4 * np.cumsum(used.sum(axis=1))).tolist()
    return [
        mine.tobytes() + values[begin:end]
        for mine, begin, end in zip(bits, [0, *ends], ends, strict=False)
    ]


def _unpacked(stored: bytes, kind: str) -> npt.NDArray[Any]:
    bits = 2 * BINS // 8
    used = np.unpackbits(np.frombuffer(stored[:bits], dtype=np.uint8)).astype(np.bool_)
    if len(used) != 2 * BINS or len(stored) != bits + 4 * int(used.sum()):
        raise StateError("stored estimates are damaged: counts have another size than they say")
    values = np.frombuffer(stored, dtype=kind, offset=bits)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise StateError("stored estimates are damaged: numbers that no count could be")
    counts: npt.NDArray[Any] = np.zeros(2 * BINS, dtype=kind)
    counts[used] = values
    return counts.reshape(2, BINS)
