"""Kept blocks as bytes: column by column, exact to the last bit, without pickle.

Numbers are stored as they are, booleans as bits, text that repeats as a list of different words
with one code a row. Nothing is compressed: measured floats hardly shrink, and trying would cost
more than all the rest. A column in which nothing is given takes no room.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.storage.snapshots import SnapshotError, seal, unseal
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, PredictionBlock
from watchkeeper.detectors.texts import Spans, Texts, Words, texts_of

LAYOUT = 1
_NONE = 0xFFFFFFFF  # the length of a text that is missing
_MISSING, _BITS, _TEXTS, _CODES = "missing", "bits", "texts", "codes"


class _Column(msgspec.Struct, array_like=True):
    """`form` is a dtype, or one of the words above; `words` belong to codes. Where it is written,
    `data` may be a view of a column, as a copy of it costs as much as all the rest."""

    form: str
    data: bytes = b""
    words: tuple[str, ...] = ()


class _Stored(msgspec.Struct):
    kind: Literal["prediction", "label"]
    n: int
    names: list[tuple[str, str]]
    columns: dict[str, _Column]
    numeric: dict[str, _Column] = {}
    categorical: dict[str, _Column] = {}


def encode(block: Block) -> bytes:
    """The block as bytes. TypeError for a column of text that holds anything but text and None."""
    if isinstance(block, LabelBlock):
        names = [(model, "") for model in block.models]
        columns = {
            "place": _numbers(block.model),
            "at": _numbers(block.at),
            "key": _numbers(block.key),
            "request_id": _texts(block.request_id),
            "label": _words(block.label),
            "value": _numbers(block.value),
        }
        if block.source is not None:
            columns["source"] = _words(block.source)
        stored = _Stored("label", len(block), names, columns)
    else:
        stored = _prediction(block)
    return seal(msgspec.msgpack.encode(stored), LAYOUT)


def decode(blob: bytes) -> Block:
    """The block exactly as it was; SnapshotError where the bytes are not a block."""
    body = unseal(blob, LAYOUT)
    try:
        stored = _decoder.decode(body)
        return _label_block(stored) if stored.kind == "label" else _prediction_block(stored)
    except (msgspec.MsgspecError, ValueError, TypeError, IndexError, KeyError) as error:
        raise SnapshotError(f"not a block: {error}") from error


def _prediction(block: PredictionBlock) -> _Stored:
    names = ("at", "key", "entity_key", "duration_s", "status", "score", "value")
    columns = {name: _numbers(getattr(block, name)) for name in names}
    columns |= {
        "place": _numbers(block.member),
        "request_id": _texts(block.request_id),
        "entity": _texts(block.entity),
        "label": _words(block.label),
        "output_valid": _bits(block.output_valid),
    }
    return _Stored(
        "prediction",
        len(block),
        [(member.model, member.version) for member in block.members],
        columns,
        {name: _numbers(column) for name, column in block.numeric.items()},
        {name: _words(words) for name, words in block.categorical.items()},
    )


def _numbers(column: npt.NDArray[Any]) -> _Column:
    kind = column.dtype.kind
    if _missing(column) if kind == "f" else not column.any():
        return _Column(_MISSING)
    if kind == "i":
        column = column.astype(_narrow(int(column.min()), int(column.max())))
    dtype = column.dtype.newbyteorder("<")
    # Neither is bytes for whoever checks types, but msgspec writes either the same way.
    view: Any = np.ascontiguousarray(column, dtype=dtype).data.cast("B")
    return _Column(dtype.str, view)


def _missing(column: npt.NDArray[Any]) -> bool:
    """Whether nothing is given in a column of floats; most tell by their first row."""
    return not len(column) or bool(np.isnan(column[0]) and np.isnan(column).all())


def _narrow(low: int, high: int) -> type[np.signedinteger[Any]]:
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return kind
    return np.int64


def _bits(column: npt.NDArray[np.bool_]) -> _Column:
    return _Column(_MISSING) if column.all() else _Column(_BITS, np.packbits(column).tobytes())


def _words(words: Words) -> _Column:
    packed = _numbers(words.codes + 1)
    return _Column(_CODES + packed.form, packed.data, words.words)


def _texts(column: Texts) -> _Column:
    if isinstance(column, Spans) and not (column.start >= 0).any():
        return _Column(_MISSING)
    if isinstance(column, Spans):
        sizes = np.where(column.start >= 0, column.end - column.start, _NONE).astype("<u4")
        return _Column(_TEXTS, sizes.tobytes() + column.packed().buffer)
    values = texts_of(column).tolist()
    if not any(value is not None for value in values):
        return _Column(_MISSING)
    if any(value is not None and type(value) is not str for value in values):
        raise TypeError("a text column holds something else")
    raw = [b"" if value is None else value.encode("utf-8", "surrogatepass") for value in values]
    lengths = np.array(
        [_NONE if v is None else len(r) for v, r in zip(values, raw, strict=True)], dtype="<u4"
    )
    return _Column(_TEXTS, lengths.tobytes() + b"".join(raw))


# ----------------------------------------------------------------------------------------- reading


def _label_block(stored: _Stored) -> LabelBlock:
    columns, n = stored.columns, stored.n
    return LabelBlock(
        models=tuple(model for model, _ in stored.names),
        model=_whole(columns["place"], n).astype(np.int32),
        at=_real(columns["at"], n),
        seq=np.arange(n, dtype=np.int64),
        key=_whole(columns["key"], n).astype(np.uint64),
        request_id=_read_texts(columns["request_id"], n),
        label=_read_words(columns["label"], n),
        value=_real(columns["value"], n),
        source=_read_words(columns["source"], n) if "source" in columns else None,
    )


def _prediction_block(stored: _Stored) -> PredictionBlock:
    columns, n = stored.columns, stored.n
    return PredictionBlock(
        members=tuple(Member(*name) for name in stored.names),
        member=_whole(columns["place"], n).astype(np.int32),
        seq=np.arange(n, dtype=np.int64),
        at=_real(columns["at"], n),
        duration_s=_real(columns["duration_s"], n),
        score=_real(columns["score"], n),
        value=_real(columns["value"], n),
        key=_whole(columns["key"], n).astype(np.uint64),
        entity_key=_whole(columns["entity_key"], n).astype(np.uint64),
        request_id=_read_texts(columns["request_id"], n),
        entity=_read_texts(columns["entity"], n),
        status=_whole(columns["status"], n).astype(np.int64),
        label=_read_words(columns["label"], n),
        output_valid=_read_bits(columns["output_valid"], n),
        numeric={name: _real(column, n) for name, column in stored.numeric.items()},
        categorical={name: _read_words(c, n) for name, c in stored.categorical.items()},
    )


def _real(column: _Column, n: int) -> npt.NDArray[np.float64]:
    if column.form == _MISSING:
        return np.full(n, np.nan)
    return _read(column, n, "f").astype(np.float64)


def _whole(column: _Column, n: int) -> npt.NDArray[Any]:
    return np.zeros(n, dtype=np.int64) if column.form == _MISSING else _read(column, n, "iu")


def _read(column: _Column, n: int, kinds: str) -> npt.NDArray[Any]:
    dtype = np.dtype(column.form)
    if dtype.kind not in kinds:
        raise ValueError(f"a column of {dtype}")
    values = np.frombuffer(column.data, dtype)
    if len(values) != n:
        raise ValueError(f"{len(values)} values in a block of {n}")
    return values.copy()


def _read_bits(column: _Column, n: int) -> npt.NDArray[np.bool_]:
    if column.form == _MISSING:
        return np.ones(n, dtype=np.bool_)
    if column.form != _BITS:
        raise ValueError(f"bits as {column.form}")
    return np.unpackbits(np.frombuffer(column.data, np.uint8), count=n).astype(np.bool_)


def _read_words(column: _Column, n: int) -> Words:
    form = column.form.removeprefix(_CODES)
    codes = _whole(_Column(form, column.data), n).astype(np.int32) - 1
    if len(codes) and not -1 <= codes.min() <= codes.max() < len(column.words):
        raise ValueError("a code without its word")
    return Words(codes, column.words)


def _read_texts(column: _Column, n: int) -> npt.NDArray[np.object_]:
    texts = np.full(n, None, dtype=np.object_)
    if column.form == _MISSING:
        return texts
    if column.form != _TEXTS:
        raise ValueError(f"texts as {column.form}")
    lengths, at = np.frombuffer(column.data[: 4 * n], "<u4").tolist(), 4 * n
    for i, length in enumerate(lengths):
        if length != _NONE:
            texts[i] = column.data[at : at + length].decode("utf-8", "surrogatepass")
            at += length
    if at != len(column.data) or len(lengths) != n:
        raise ValueError("texts of another length")
    return texts


_decoder = msgspec.msgpack.Decoder(_Stored)
