"""Plain data to bytes and back, with a layout number and a checksum. No code is ever loaded.

Eight bytes stand before the msgpack body: two that name the form, two of layout, four of CRC-32.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, TypeVar

import msgspec
import numpy as np

LAYOUT = 1

_HEAD = struct.Struct("<2sHI")
_MARK = b"WK"
HEAD = _HEAD.size  # bytes before the body
_ARRAY = 1
_KINDS = "fiub"  # floats, integers, booleans: nothing that could hold an object

T = TypeVar("T")


class SnapshotError(Exception):
    """Stored bytes are damaged, or of a layout this program does not know."""


class _Array(msgspec.Struct, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


def encode(value: object, layout: int = LAYOUT) -> bytes:
    """Bytes of plain data, Structs, and NumPy arrays of numbers.

    >>> decode(encode({"version": 1, "mean": 0.5}))
    {'version': 1, 'mean': 0.5}
    """
    return seal(_encoder.encode(value), layout)


def packed(value: object) -> msgspec.Raw:
    """Plain data in one piece, for which `encode` gives the same bytes."""
    return msgspec.Raw(_encoder.encode(value))


def decode(blob: bytes, layout: int = LAYOUT) -> Any:
    """The plain data; SnapshotError where the bytes are not exactly what was written."""
    return _unpack(blob, layout, _plain)


def decode_as(blob: bytes, kind: type[T], layout: int = LAYOUT) -> T:
    """The Struct of the given type."""
    return _unpack(blob, layout, msgspec.msgpack.Decoder(kind, ext_hook=_ext))


def seal(body: bytes, layout: int) -> bytes:
    """The body behind its head."""
    return _HEAD.pack(_MARK, layout, zlib.crc32(body)) + body


def layout_of(blob: bytes) -> int | None:
    """The layout that the head names; None where there is no head."""
    return _HEAD.unpack_from(blob)[1] if len(blob) >= _HEAD.size else None


def unseal(blob: bytes, layout: int) -> memoryview:
    """The body, once its head agrees with it."""
    if len(blob) < _HEAD.size:
        raise SnapshotError(f"only {len(blob)} bytes: not a snapshot")
    mark, found, crc = _HEAD.unpack_from(blob)
    body = memoryview(blob)[_HEAD.size :]
    if mark != _MARK:
        raise SnapshotError("not a snapshot")
    if found != layout:
        raise SnapshotError(f"layout {found}: this program reads {layout}")
    if zlib.crc32(body) != crc:
        raise SnapshotError("checksum does not match: the bytes are damaged")
    return body


def _unpack(blob: bytes, layout: int, decoder: msgspec.msgpack.Decoder[T]) -> T:
    body = unseal(blob, layout)
    try:
        return decoder.decode(body)
    # ValueError, TypeError: a key that cannot be one, an array that is none, text that is not UTF-8
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise SnapshotError(f"cannot be read: {error}") from error


def _enc(value: object) -> object:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _KINDS:
            raise NotImplementedError(f"an array of {value.dtype} is not plain data")
        plain = _Array(value.dtype.newbyteorder("<").str, value.shape, b"")
        data = np.ascontiguousarray(value, dtype=plain.dtype).tobytes()
        return msgspec.msgpack.Ext(
            _ARRAY, msgspec.msgpack.encode(msgspec.structs.replace(plain, data=data))
        )
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} is not plain data")


def _ext(code: int, data: memoryview) -> object:
    if code != _ARRAY:
        raise ValueError(f"unknown extension {code}")
    stored = _arrays.decode(data)
    dtype = np.dtype(stored.dtype)
    if dtype.kind not in _KINDS:
        raise ValueError(f"array of {dtype}")
    return np.frombuffer(stored.data, dtype=dtype).reshape(stored.shape).copy()


_encoder = msgspec.msgpack.Encoder(enc_hook=_enc)
_plain: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(ext_hook=_ext)
_arrays = msgspec.msgpack.Decoder(_Array)
