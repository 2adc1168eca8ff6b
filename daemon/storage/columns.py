"""One stored column: numbers in the fewest bytes that hold them exactly, booleans as bits, text
that repeats as a list of different words with one code a row. One in which nothing is given takes
no room."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.storage import decimals
from watchkeeper.detectors.texts import Spans, Texts, Words, texts_of
from watchkeeper.detectors.types import BoolArray, FloatArray

MISSING, CODES = "missing", "codes"
STEPS = "steps"  # before a dtype: times, by how many floats they are from `base`
DECIMALS = "decimals"  # before a dtype: real numbers, by how many `base`-ths they are
_FURTHEST = 2**31 - 1
_NONE = 0xFFFFFFFF  # the length of a text that is missing
_BITS, _TEXTS = "bits", "texts"


class Column(msgspec.Struct, array_like=True, gc=False):
    """`form` is a dtype, one of the words above, or both; `words` belong to codes. Where it is
    written, `data` may be a view of a column, as a copy of it costs as much as all the rest."""

    form: str
    data: bytes = b""
    words: tuple[str, ...] = ()
    base: int = 0


class Form(NamedTuple):
    """Real numbers of a kind, or by how many parts of one they are: the least whole number of the
    kind stands for NaN then."""

    kind: type[Any]
    parts: int = 0


AS_THEY_ARE = Form(np.float64)
# The shortest first: scores with four and six digits behind the point, and of 32-bit models.
FORMS = (Form(np.int16, 10**4), Form(np.int32, 10**6), Form(np.float32), AS_THEY_ARE)
_PARTS = {form.kind for form in FORMS if form.parts}


def raw(column: npt.NDArray[Any]) -> tuple[str, Any]:
    """The name of a column's dtype, and its bytes."""
    dtype = column.dtype.newbyteorder("<")
    # Neither is bytes for whoever checks types, but msgspec writes either the same way.
    return dtype.str, np.ascontiguousarray(column, dtype=dtype).data.cast("B")


def numbers(column: npt.NDArray[Any]) -> Column:
    """Whole numbers, or real ones as they are."""
    kind = column.dtype.kind
    if is_missing(column) if kind == "f" else not column.any():
        return Column(MISSING)
    if kind == "i":
        column = column.astype(narrow(int(column.min()), int(column.max())))
    return Column(*raw(column))


def shortened(column: FloatArray, form: Form) -> npt.NDArray[Any] | None:
    """The numbers in this form; None where that would lose a bit of one."""
    if form == AS_THEY_ARE:
        return column
    if form.parts:
        return decimals.of_reals(column, form.parts, form.kind)
    with np.errstate(over="ignore", invalid="ignore"):
        held: npt.NDArray[Any] = column.astype(form.kind)
    exact = held.astype(np.float64).view(np.int64) == column.view(np.int64)
    return held if exact.all() else None


def lengthened(held: npt.NDArray[Any], form: Form) -> FloatArray:
    """The numbers of which `shortened` gave these."""
    if form.parts:
        return decimals.to_reals(held, form.parts)
    found: FloatArray = held.astype(np.float64)
    return found


def times(column: FloatArray) -> Column:
    """Times in seconds: such as lie within some minutes of each other in four bytes."""
    if is_missing(column):
        return Column(MISSING)
    base = base_of(column)
    steps = steps_from(base, column)
    if steps is None:
        return Column(*raw(column))
    form, data = raw(steps[0].astype(np.int32))
    return Column(STEPS + form, data, base=base)


def base_of(at: FloatArray) -> int:
    """What the steps of other times are counted from: the first time, as a number of such steps."""
    return int(at[:1].view(np.int64)[0])


def is_missing(column: npt.NDArray[Any]) -> bool:
    """Whether nothing is given in a column of floats; most tell by their first row."""
    return not len(column) or bool(column[0] != column[0] and np.isnan(column).all())


def steps_from(base: int, at: FloatArray) -> tuple[npt.NDArray[np.int64], int, int] | None:
    """How many floats lie between the one with the bits `base` and each time, as there is none
    between two neighbours, and the least and the most of it; None where four bytes do not hold
    that. In this century a step is 0.24 microseconds."""
    steps = at.view(np.int64) - base
    low, high = int(np.minimum.reduce(steps)), int(np.maximum.reduce(steps))
    # The bits of floats below zero are in another order, and those of NaN are far from all others.
    if not -_FURTHEST <= low <= high <= _FURTHEST or base + low <= 0:
        return None
    return steps, low, high


def of_steps(base: int, steps: npt.NDArray[np.signedinteger[Any]]) -> FloatArray:
    """The times of which `steps_from` gave these."""
    found: FloatArray = (steps.astype(np.int64) + base).view(np.float64)
    return found


def narrow(low: int, high: int) -> type[np.signedinteger[Any]]:
    """The smallest kind that holds all from the lowest to the highest."""
    for kind, least, most in _KINDS:
        if least <= low and high <= most:
            return kind
    return np.int64


_KINDS: tuple[tuple[type[np.signedinteger[Any]], int, int], ...] = tuple(
    (kind, int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    for kind in (np.int8, np.int16, np.int32)
)


def bits(column: BoolArray) -> Column:
    """Truths, a bit each."""
    return Column(MISSING) if column.all() else Column(_BITS, np.packbits(column).tobytes())


def words(column: Words) -> Column:
    """Text that repeats."""
    packed = numbers(column.codes + 1)
    return Column(CODES + packed.form, packed.data, column.words)


def texts(column: Texts) -> Column:
    """Text that rarely repeats. TypeError where there is anything but text and None."""
    if isinstance(column, Spans) and not (column.start >= 0).any():
        return Column(MISSING)
    if isinstance(column, Spans):
        sizes = np.where(column.start >= 0, column.end - column.start, _NONE).astype("<u4")
        return Column(_TEXTS, sizes.tobytes() + column.packed().buffer)
    values = texts_of(column).tolist()
    if not any(value is not None for value in values):
        return Column(MISSING)
    if any(value is not None and type(value) is not str for value in values):
        raise TypeError("a text column holds something else")
    encoded = [b"" if value is None else value.encode("utf-8", "surrogatepass") for value in values]
    lengths = np.array(
        [_NONE if v is None else len(r) for v, r in zip(values, encoded, strict=True)], dtype="<u4"
    )
    return Column(_TEXTS, lengths.tobytes() + b"".join(encoded))


# ----------------------------------------------------------------------------------------- reading


def read_reals(column: Column, n: int) -> FloatArray:
    """Real numbers, times among them. ValueError where the column holds something else."""
    form = column.form
    if form == MISSING:
        return np.full(n, np.nan)
    if form.startswith(STEPS):
        return of_steps(column.base, _read(form.removeprefix(STEPS), column.data, n, "i"))
    if form.startswith(DECIMALS):
        held = _read(form.removeprefix(DECIMALS), column.data, n, "i")
        if column.base < 1 or held.dtype.type not in _PARTS:
            raise ValueError(f"parts of one: {column.base}, as {held.dtype}")
        return lengthened(held, Form(held.dtype.type, column.base))
    return _read(form, column.data, n, "f").astype(np.float64)


def read_wholes(column: Column, n: int) -> npt.NDArray[Any]:
    """Whole numbers. ValueError where the column holds something else."""
    if column.form == MISSING:
        return np.zeros(n, dtype=np.int64)
    return _read(column.form, column.data, n, "iu")


def _read(form: str, data: bytes, n: int, kinds: str) -> npt.NDArray[Any]:
    dtype = np.dtype(form)
    if dtype.kind not in kinds:
        raise ValueError(f"a column of {dtype}")
    values = np.frombuffer(data, dtype)
    if len(values) != n:
        raise ValueError(f"{len(values)} values in a block of {n}")
    return values.copy()


def read_bits(column: Column, n: int) -> BoolArray:
    """Truths. ValueError where the column holds something else."""
    if column.form == MISSING:
        return np.ones(n, dtype=np.bool_)
    if column.form != _BITS:
        raise ValueError(f"bits as {column.form}")
    return np.unpackbits(np.frombuffer(column.data, np.uint8), count=n).astype(np.bool_)


def read_words(column: Column, n: int) -> Words:
    """Text that repeats. ValueError where a code has no word."""
    form = column.form.removeprefix(CODES)
    codes = read_wholes(Column(form, column.data), n).astype(np.int32) - 1
    if len(codes) and not -1 <= codes.min() <= codes.max() < len(column.words):
        raise ValueError("a code without its word")
    return Words(codes, column.words)


def read_texts(column: Column, n: int) -> npt.NDArray[np.object_]:
    """Text that rarely repeats. ValueError where the column holds something else."""
    found = np.full(n, None, dtype=np.object_)
    if column.form == MISSING:
        return found
    if column.form != _TEXTS:
        raise ValueError(f"texts as {column.form}")
    lengths, at = np.frombuffer(column.data[: 4 * n], "<u4").tolist(), 4 * n
    for i, length in enumerate(lengths):
        if length != _NONE:
            found[i] = column.data[at : at + length].decode("utf-8", "surrogatepass")
            at += length
    if at != len(column.data) or len(lengths) != n:
        raise ValueError("texts of another length")
    return found
