"""How much the values of an Arrow batch take one by one: a stream may say a lot in a few bytes.

A list of a billion nulls has no buffer for them, and a text in a dictionary may stand for every
row. What bounds the bytes of a record does not bound these.
"""

from __future__ import annotations

from typing import Any

from watchkeeper.daemon.transport.codec.refused import Refused

MOST_BYTES = 16 * 1024 * 1024  # of the values of a stream
CELL_BYTES = 32  # a value, without its text


def check_type(arrow: Any, type_: Any) -> None:
    """Raises Refused for types whose values may share what they hold."""
    types = arrow.types
    if types.is_dictionary(type_):
        type_ = type_.value_type
        if types.is_nested(type_):
            raise _unsupported(type_)
    if not (type_.num_fields or types.is_nested(type_)):
        if types.is_string_view(type_) or types.is_binary_view(type_):
            raise _unsupported(type_)
        return
    if not (types.is_struct(type_) or types.is_map(type_) or _is_list(types, type_)):
        raise _unsupported(type_)
    for i in range(type_.num_fields):
        check_type(arrow, type_.field(i).type)


def size_of(arrow: Any, array: Any) -> int:
    """About how many bytes the values of a column take; its type was checked."""
    types, type_ = arrow.types, array.type
    own: int = CELL_BYTES * len(array)
    if types.is_dictionary(type_):
        return own + _text_bytes(array)
    if types.is_struct(type_):
        return own + sum(size_of(arrow, array.field(i)) for i in range(type_.num_fields))
    if types.is_map(type_):
        return own + size_of(arrow, array.keys) + size_of(arrow, array.items)
    if _is_list(types, type_):
        return own + size_of(arrow, array.values)
    return own


def _text_bytes(array: Any) -> int:
    """The bytes of the texts of a column with a dictionary, each as often as it stands there."""
    most: int = array.dictionary.nbytes * len(array)
    if most <= CELL_BYTES * len(array):
        return most
    from pyarrow import compute, types

    if types.is_primitive(array.type.value_type):
        return 0
    lengths = compute.binary_length(array.dictionary).take(array.indices)
    return compute.sum(lengths).as_py() or 0


def _is_list(types: Any, type_: Any) -> bool:
    return bool(
        types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_)
    )


def _unsupported(type_: Any) -> Refused:
    return Refused("unsupported_format", f"columns of the type {type_} are not read"[:500])
