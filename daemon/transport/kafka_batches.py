"""Lets kafka-python hand out whole record batches as columns, instead of an object a record.

The fetcher makes a `PartitionRecords` of each answer to a fetch; one of ours takes its place.
Positions, pausing, seeking, rebalancing and fetching stay the library's. That place is private to
the library, so `why_not` tries at the start whether both ways of reading give the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from watchkeeper.daemon.transport.batches import Split
from watchkeeper.daemon.transport.ports import Headers, Partition
from watchkeeper.daemon.transport.records import Records
from watchkeeper.daemon.transport.spans import Span, Texts

# What a record costs of a poll's bytes next to its own, so that tiny ones are bounded too.
RECORD_BYTES = 100
_LARGEST_HEADERS = 65_536


class Taken:
    """Records of a partition in pieces; its length is what they cost of a poll's bytes."""

    def __init__(self) -> None:
        self._pieces: list[Records] = []
        self._cost = 0

    def __len__(self) -> int:
        return self._cost

    def __iter__(self) -> Iterator[Records]:
        return iter(self._pieces)

    def add(self, partition: Partition, piece: Split) -> None:
        """One piece more."""
        self._pieces.append(records_of(partition, piece))
        self._cost += piece.size + RECORD_BYTES * len(piece)


def records_of(partition: Partition, piece: Split) -> Records:
    """The records of one partition."""
    place = np.zeros(len(piece), dtype=np.int32)
    return Records(
        (partition,),
        place,
        piece.offset,
        piece.at,
        piece.values,
        piece.span,
        piece.keys,
        piece.headers,
    )


def records_from(objects: Sequence[Any]) -> Records:
    """The library's own records of one partition, as columns."""
    first = objects[0]
    column = dict(zip(first._fields, zip(*objects, strict=True), strict=True))
    stamps, values, keys = column["timestamp"], column["value"], column["key"]
    # The oldest format has no timestamps.
    at = np.array([each or 0 for each in stamps] if None in stamps else stamps, dtype=np.float64)
    whole = None not in values
    return Records(
        (Partition(first.topic, first.partition),),
        np.zeros(len(objects), dtype=np.int32),
        np.array(column["offset"], dtype=np.int64),
        np.maximum(at, 0.0) / 1000,
        None if whole else list(values),
        Span.of(values) if whole else None,
        _keys(keys),
        _headers(column["headers"], column["serialized_header_size"]),
    )


def _keys(keys: Sequence[bytes | None]) -> Texts | None:
    if None not in keys:
        return Span.of(keys)
    return list(keys) if any(key is not None for key in keys) else None


def _headers(columns: Sequence[Any], sizes: Sequence[int]) -> list[Headers] | None:
    if not any(columns):
        return None
    headers: list[Headers] = [
        tuple(each) if size <= _LARGEST_HEADERS else ()
        for each, size in zip(columns, sizes, strict=True)
    ]
    return headers if any(headers) else None


def whole_batches() -> Any:
    """The class that takes the place of the library's `Fetcher.PartitionRecords`."""
    # It needs this file, and the library.
    from watchkeeper.daemon.transport.kafka_whole import WholeBatches

    return WholeBatches
