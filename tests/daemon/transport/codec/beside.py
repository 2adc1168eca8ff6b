"""A quicker way to read records beside the general one, which is the specification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from tests.daemon.transport.codec import mutants
from watchkeeper.daemon.transport.codec.bulk import Bulk, Taken
from watchkeeper.daemon.transport.codec.router import decode
from watchkeeper.daemon.transport.codec.shapes import BulkKind
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.types import FloatArray, IntArray

NOW = 1_790_000_000.0
KINDS: dict[str, BulkKind] = {"predictions": "prediction", "labels": "label"}

B = TypeVar("B", bound=Bulk)


def take_none(kind: BulkKind, records: Records, seq: IntArray, latest: FloatArray) -> Taken:
    """The specification: the typed decoder reads everything."""
    return Taken([], np.arange(len(records)))


class Counted(Generic[B]):
    """A quicker way, and how many rows it took."""

    def __init__(self, bulk: B) -> None:
        self.bulk, self.taken = bulk, 0

    def __call__(
        self, kind: BulkKind, records: Records, seq: IntArray, latest: FloatArray
    ) -> Taken:
        taken = self.bulk(kind, records, seq, latest)
        self.taken += len(records) - len(taken.left)
        return taken


def records_of(topic: str, values: Sequence[bytes]) -> Records:
    """Records of one partition, as they come from a source."""
    n = len(values)
    place, at = np.zeros(n, dtype=np.int32), np.full(n, NOW)
    return Records((Partition(topic, 0),), place, np.arange(n, dtype=np.int64), at, list(values))


def assert_same(topic: str, values: Sequence[bytes], bulk: Bulk) -> None:
    """That both ways make the same of the values, bit for bit."""
    slow = decode(records_of(topic, values), KINDS, blocks=True, bulk=take_none)
    quick = decode(records_of(topic, values), KINDS, blocks=True, bulk=bulk)
    expected, found = mutants.rows_of(slow.blocks), mutants.rows_of(quick.blocks)
    for seq in expected.keys() | found.keys():
        assert found.get(seq) == expected.get(seq), values[seq]
    assert mutants.letters(quick) == mutants.letters(slow)
