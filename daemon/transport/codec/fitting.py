"""Which records of a topic may be read in bulk: plain ones of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter

import numpy as np

from watchkeeper.daemon.transport.codec import cloudevents
from watchkeeper.daemon.transport.codec.arrow import is_arrow
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.daemon.transport.ports import Headers
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.types import BoolArray, EventKind, IntArray


def by_topic(records: Records) -> Iterator[tuple[str, IntArray]]:
    """Each topic and the places of its records."""
    topics = {topic: i for i, topic in enumerate(dict.fromkeys(p.topic for p in records.places))}
    if len(topics) == 1:
        if len(records):
            yield next(iter(topics)), np.arange(len(records))
        return
    codes = np.array([topics[place.topic] for place in records.places], dtype=np.int64)
    code = codes[records.place]
    for topic, i in topics.items():
        rows = np.flatnonzero(code == i)
        if len(rows):
            yield topic, rows


def fitting(records: Records, rows: IntArray, kind: EventKind, max_bytes: int) -> BoolArray | None:
    """Which of the rows have a value of at most `max_bytes` and headers that name no other kind;
    None: all."""
    if records.headers is None and _fit(records, max_bytes):
        return None
    size = _sizes(records)[rows]
    fit = (size > 0) & (size <= max_bytes)
    if records.headers is not None:
        headers = [records.headers[i] for i in rows.tolist()]
        if _alike(headers):
            fit &= not headers or _says(kind, headers[0])
        else:
            fit &= np.fromiter((_says(kind, each) for each in headers), np.bool_, len(headers))
    return None if fit.all() else fit


def _fit(records: Records, max_bytes: int) -> bool:
    """Whether all records, which are some, stand in a buffer and have a size that fits."""
    if not records.in_buffer:
        return False
    span = records.span()
    size = span.end - span.start
    return bool(span.start.min() >= 0 and size.min() > 0 and size.max() <= max_bytes)


def _sizes(records: Records) -> IntArray:
    """The bytes of each value; 0 where there is none."""
    if records.in_buffer:
        span = records.span()
        return np.where(span.start < 0, 0, span.end - span.start)
    values = records.values()
    try:
        return np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]
    except TypeError:
        return np.array([len(value or b"") for value in values], dtype=np.int64)


def _alike(headers: Sequence[Headers]) -> bool:
    """Whether all records have headers of the same names, and the same to say by them."""
    try:
        columns = [*zip(*headers, strict=True)]
    except ValueError:
        return False
    for column in columns:
        if column.count(column[0]) == len(column):
            continue
        name = column[0][0]
        if name in _TELLING or [*map(_name, column)].count(name) != len(column):
            return False
    return True


_name = itemgetter(0)
_TELLING = ("ce_type", "content-type")


def _says(kind: EventKind, headers: Headers) -> bool:
    if not headers:
        return True
    if is_arrow(headers):
        return False
    try:
        return cloudevents.kind_in_headers(headers, kind) == kind
    except Refused:
        return False
