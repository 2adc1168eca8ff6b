"""Arrow IPC streams: records that hold many predictions or labels as columns.

Columns are named as the fields of the events. `features` and `prediction` are structs, or their
fields stand beside the others as `features.NAME` and `prediction.NAME`. Null is what is not there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from watchkeeper.daemon.transport.codec.arrow_size import MOST_BYTES, check_type, size_of
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.daemon.transport.ports import Headers

CONTENT_TYPE = b"application/vnd.apache.arrow.stream"
MOST_ROWS = 10_000
MOST_STREAM = 1_048_576  # bytes of a stream: about what a broker takes by default
MOST_FIELDS = 4_096
NEEDED = "Arrow needs pyarrow: install watchkeeper[parquet]"
# Of the format's own tables: Message.fbs of Apache Arrow.
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3


def is_arrow(headers: Headers) -> bool:
    """Whether a record says that its value is an Arrow IPC stream."""
    return any(
        name == "content-type" and value is not None and value.startswith(CONTENT_TYPE)
        for name, value in headers
    )


class Batch(NamedTuple):
    """One record batch. `begin` is its first row's place in the stream; `columns` are by name,
    with the fields of structs under `STRUCT.FIELD`."""

    begin: int
    batch: Any
    columns: dict[str, Any]


def batches(value: bytes) -> list[Batch]:
    """The checked batches of a stream. Raises Refused for one that is damaged or too large."""
    try:
        import pyarrow as arrow
    except ImportError as error:
        raise Refused("unsupported_format", NEEDED) from error
    try:
        return [*_batches(arrow, value)]
    except (arrow.ArrowException, OSError, ValueError, struct.error) as error:
        raise Refused("syntax", f"is no Arrow IPC stream: {error}"[:500]) from error


def _batches(arrow: Any, value: bytes) -> Iterator[Batch]:
    for message in arrow.ipc.MessageReader.open_stream(value):
        if _compressed(message.metadata.to_pybytes()):
            raise Refused("unsupported_format", "the buffers of the stream are compressed")
    source = arrow.BufferReader(value)
    with arrow.ipc.open_stream(source) as stream:
        check_schema(arrow, stream.schema)
        begin = size = 0
        for batch in stream:
            if begin + batch.num_rows > MOST_ROWS:
                raise Refused("too_large", f"more than {MOST_ROWS} rows")
            batch.validate(full=True)
            size += sum(size_of(arrow, column) for column in batch.columns)
            check_values(size)
            yield Batch(begin, batch, _flat(arrow, batch))
            begin += batch.num_rows
        if source.tell() != len(value):
            raise Refused("syntax", "goes on after its end")


def check_schema(arrow: Any, schema: Any) -> None:
    """Raises Refused for too many columns, or a type that is not read."""
    fields = sum(max(1, field.type.num_fields) for field in schema)
    if fields > MOST_FIELDS:
        raise Refused("too_large", f"{fields} columns, more than {MOST_FIELDS}")
    for field in schema:
        check_type(arrow, field.type)


def check_values(size: int) -> None:
    """Raises Refused if the values of a stream, written out one by one, take too many bytes."""
    if size > MOST_BYTES:
        raise Refused("too_large", f"its values take more than {MOST_BYTES} bytes")


def _flat(arrow: Any, batch: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if name in ("features", "prediction") and arrow.types.is_struct(array.type):
            inner = [field.name for field in array.type]
            parts = zip(inner, array.flatten(), strict=True)
            columns |= {f"{name}.{each}": part for each, part in parts}
        else:
            columns[name] = array
    return columns


def _compressed(metadata: bytes) -> bool:
    """Whether a message of the stream has compressed buffers, which may be of any size."""
    message = _root(metadata)
    (kind,) = struct.unpack_from("<B", metadata, _field(metadata, message, 1) or 0)
    header = _table(metadata, message, 2)
    if header is None or kind not in (_DICTIONARY_BATCH, _RECORD_BATCH):
        return False
    if kind == _DICTIONARY_BATCH:
        header = _table(metadata, header, 1)
    return header is not None and _field(metadata, header, 3) is not None


def _root(raw: bytes) -> int:
    (offset,) = struct.unpack_from("<I", raw, 0)
    return int(offset)


def _field(raw: bytes, table: int, number: int) -> int | None:
    """Where a field of a FlatBuffers table stands; None where it has its default."""
    vtable = table - int(struct.unpack_from("<i", raw, table)[0])
    (size,) = struct.unpack_from("<H", raw, vtable)
    place = 4 + 2 * number
    if place >= size:
        return None
    (offset,) = struct.unpack_from("<H", raw, vtable + place)
    return table + int(offset) if offset else None


def _table(raw: bytes, table: int, number: int) -> int | None:
    place = _field(raw, table, number)
    return None if place is None else place + int(struct.unpack_from("<I", raw, place)[0])


def slice_of(batches_: list[Batch], rows: list[int]) -> bytes:
    """A stream of just these rows."""
    import pyarrow as arrow

    table = arrow.Table.from_batches([each.batch for each in batches_]).take(rows)
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    value: bytes = sink.getvalue().to_pybytes()
    return value
