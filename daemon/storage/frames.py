"""Kept frames as bytes: column by column, exact to the last bit, without pickle.

Numbers are stored as they are, booleans as bits, text as a list of different values with one code
a row (or in full where nearly all differ), and the whole is compressed.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

import msgspec
import numpy as np

from watchkeeper.daemon.storage.snapshots import SnapshotError, seal, unseal
from watchkeeper.daemon.storage.values import CapturedFrame
from watchkeeper.detectors.types import LabelFrame, ObjectArray, PredictionFrame

LAYOUT = 1
_LEVEL = 1  # of zlib: the first step of compression gains nearly all
_LIMIT = 1 << 30  # bytes of one unpacked frame

FrameKind = Literal["prediction", "label"]
_TYPES: Mapping[FrameKind, type[CapturedFrame]] = {
    "prediction": PredictionFrame,
    "label": LabelFrame,
}


class _Column(msgspec.Struct, array_like=True):
    """`form` is a dtype, "bits" or "text"; `words` are the different values of a text column."""

    form: str
    data: bytes
    words: list[str | None] = []


class _Stored(msgspec.Struct):
    kind: FrameKind
    n: int
    plain: dict[str, str]
    columns: dict[str, _Column]
    groups: dict[str, dict[str, _Column]]


def kind_of(frame: CapturedFrame) -> FrameKind:
    """The word that tells the two kinds of kept frames apart."""
    return "prediction" if isinstance(frame, PredictionFrame) else "label"


def encode(frame: CapturedFrame) -> bytes:
    """The frame as bytes; TypeError for a text column that holds anything but text and None."""
    stored = _Stored(kind_of(frame), len(frame), {}, {}, {})
    for each in fields(frame):
        value = getattr(frame, each.name)
        if isinstance(value, str):
            stored.plain[each.name] = value
        elif isinstance(value, dict):
            stored.groups[each.name] = {name: _pack(column) for name, column in value.items()}
        else:
            stored.columns[each.name] = _pack(value)
    return seal(zlib.compress(msgspec.msgpack.encode(stored), _LEVEL), LAYOUT)


def decode(blob: bytes) -> CapturedFrame:
    """The frame exactly as it was; SnapshotError where the bytes are not a frame."""
    body = unseal(blob, LAYOUT)
    try:
        stored = _decoder.decode(_inflate(body))
        values: dict[str, Any] = dict(stored.plain)
        for name, column in stored.columns.items():
            values[name] = _unpack(column, stored.n)
        for name, group in stored.groups.items():
            values[name] = {key: _unpack(column, stored.n) for key, column in group.items()}
        return _TYPES[stored.kind](**values)
    except (msgspec.MsgspecError, zlib.error, ValueError, TypeError, IndexError) as error:
        raise SnapshotError(f"not a frame: {error}") from error


def _inflate(body: memoryview) -> bytes:
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(body, _LIMIT)
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("cut short, or larger than any frame")
    return plain


def _pack(column: np.ndarray[Any, Any]) -> _Column:
    if column.dtype == np.bool_:
        return _Column("bits", np.packbits(column).tobytes())
    if column.dtype.kind in "fiu":
        dtype = column.dtype.newbyteorder("<")
        return _Column(dtype.str, np.ascontiguousarray(column, dtype=dtype).tobytes())
    return _pack_text(column)


def _pack_text(column: ObjectArray) -> _Column:
    codes: dict[str | None, int] = {}
    rows = np.fromiter((codes.setdefault(v, len(codes)) for v in column), np.uint32, len(column))
    words = list(codes)
    for word in words:
        if word is not None and type(word) is not str:
            raise TypeError(f"a text column holds {type(word).__name__}")
    if len(words) == len(column):
        return _Column("text", b"", words)
    width: type[np.unsignedinteger[Any]] = (
        np.uint8 if len(words) <= 256 else np.uint16 if len(words) <= 65_536 else np.uint32
    )
    return _Column(f"text{np.dtype(width).itemsize}", rows.astype(width).tobytes(), words)


def _unpack(column: _Column, n: int) -> np.ndarray[Any, Any]:
    if column.form == "bits":
        return np.unpackbits(np.frombuffer(column.data, np.uint8), count=n).astype(np.bool_)
    if column.form.startswith("text"):
        return _unpack_text(column, n)
    dtype = np.dtype(column.form)
    if dtype.kind not in "fiu":
        raise ValueError(f"column of {dtype}")
    values = np.frombuffer(column.data, dtype).copy()
    if len(values) != n:
        raise ValueError(f"{len(values)} values in a frame of {n}")
    return values


def _unpack_text(column: _Column, n: int) -> ObjectArray:
    words = np.empty(len(column.words), dtype=np.object_)
    words[:] = column.words
    width = column.form.removeprefix("text")
    values = words[np.frombuffer(column.data, f"<u{width}")] if width else words
    if len(values) != n:
        raise ValueError(f"{len(values)} values in a frame of {n}")
    return values


_decoder = msgspec.msgpack.Decoder(_Stored)
