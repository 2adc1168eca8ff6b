"""Kept frames as bytes: column by column, exact to the last bit, without pickle.

Numbers are stored as they are, booleans as bits, text as a list of different values with one code
a row (or in full where all differ). A column is compressed where a look at its beginning promises
a gain: measured floats hardly shrink, and trying would cost more than all the rest.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType
from typing import Any, Literal

import msgspec
import numpy as np

from watchkeeper.daemon.storage.snapshots import SnapshotError, seal, unseal
from watchkeeper.daemon.storage.values import CapturedFrame
from watchkeeper.detectors.types import LabelFrame, ObjectArray, PredictionFrame

LAYOUT = 1
_LEVEL = 1  # of zlib: the first step of compression gains nearly all
_LIMIT = 1 << 30  # bytes of one unpacked column
_LOOK = 2_048  # bytes that are looked at
_GAIN = 0.6  # of its size is what a column must shrink to
_AS_IS, _SMALL = b"\x00", b"\x01"

FrameKind = Literal["prediction", "label"]
_TYPES: Mapping[FrameKind, type[CapturedFrame]] = {
    "prediction": PredictionFrame,
    "label": LabelFrame,
}


class _Column(msgspec.Struct, array_like=True):
    """`form` is a dtype, "bits" or "text"; `words` are the different values of a text column.

    Both parts begin with a byte that says whether they are compressed.
    """

    form: str
    data: bytes
    words: bytes = b""


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
    return seal(msgspec.msgpack.encode(stored), LAYOUT)


def decode(blob: bytes) -> CapturedFrame:
    """The frame exactly as it was; SnapshotError where the bytes are not a frame."""
    body = unseal(blob, LAYOUT)
    try:
        stored = _decoder.decode(body)
        values: dict[str, Any] = dict(stored.plain)
        for name, column in stored.columns.items():
            values[name] = _unpack(column, stored.n)
        for name, group in stored.groups.items():
            values[name] = {key: _unpack(column, stored.n) for key, column in group.items()}
        return _TYPES[stored.kind](**values)
    except (msgspec.MsgspecError, zlib.error, ValueError, TypeError, IndexError) as error:
        raise SnapshotError(f"not a frame: {error}") from error


def _deflate(plain: bytes) -> bytes:
    look = plain[:_LOOK]
    if len(look) < 64 or len(zlib.compress(look, _LEVEL)) > _GAIN * len(look):
        return _AS_IS + plain
    return _SMALL + zlib.compress(plain, _LEVEL)


def _inflate(body: bytes) -> bytes:
    if body[:1] == _AS_IS:
        return body[1:]
    if body[:1] != _SMALL:
        raise ValueError("neither compressed nor not")
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(body[1:], _LIMIT)
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("cut short, or larger than any frame")
    return plain


def _pack(column: np.ndarray[Any, Any]) -> _Column:
    if column.dtype == np.bool_:
        return _Column("bits", _deflate(np.packbits(column).tobytes()))
    if column.dtype.kind in "fiu":
        dtype = column.dtype.newbyteorder("<")
        return _Column(dtype.str, _deflate(np.ascontiguousarray(column, dtype=dtype).tobytes()))
    return _pack_text(column)


def _pack_text(column: ObjectArray) -> _Column:
    values = column.tolist()
    strange = set(map(type, values)) - {str, NoneType}
    if strange:
        raise TypeError(f"a text column holds {strange.pop().__name__}")
    words = list(dict.fromkeys(values))
    if 2 * len(words) > len(values):
        return _Column("text", b"", _deflate(msgspec.msgpack.encode(values)))
    codes = dict(zip(words, range(len(words)), strict=True))
    rows = np.fromiter(map(codes.__getitem__, values), np.uint32, len(values))
    width: type[np.unsignedinteger[Any]] = (
        np.uint8 if len(words) <= 256 else np.uint16 if len(words) <= 65_536 else np.uint32
    )
    return _Column(
        f"text{np.dtype(width).itemsize}",
        _deflate(rows.astype(width).tobytes()),
        _deflate(msgspec.msgpack.encode(words)),
    )


def _unpack(column: _Column, n: int) -> np.ndarray[Any, Any]:
    if column.form.startswith("text"):
        return _unpack_text(column, n)
    data = _inflate(column.data)
    if column.form == "bits":
        return np.unpackbits(np.frombuffer(data, np.uint8), count=n).astype(np.bool_)
    dtype = np.dtype(column.form)
    if dtype.kind not in "fiu":
        raise ValueError(f"column of {dtype}")
    values = np.frombuffer(data, dtype).copy()
    if len(values) != n:
        raise ValueError(f"{len(values)} values in a frame of {n}")
    return values


def _unpack_text(column: _Column, n: int) -> ObjectArray:
    known = _words.decode(_inflate(column.words))
    words = np.empty(len(known), dtype=np.object_)
    words[:] = known
    width = column.form.removeprefix("text")
    values = words[np.frombuffer(_inflate(column.data), f"<u{width}")] if width else words
    if len(values) != n:
        raise ValueError(f"{len(values)} values in a frame of {n}")
    return values


_decoder = msgspec.msgpack.Decoder(_Stored)
_words = msgspec.msgpack.Decoder(list[str | None])
