"""JSON values to rows: one msgspec decoder a kind, and the reason when it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import msgspec

from watchkeeper.daemon.transport.codec.cloudevents import is_envelope
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.detectors.types import EVENT_TYPES, Event, EventKind, Name

# A row is an event as it was decoded: the fields of its type in `detectors.types`, but with names
# still unchecked. They are checked once a model rather than once an event (see `columns`): the
# pattern costs as much as all the rest of the decoding.
Row = Any
NAME = re.compile(r"[A-Za-z0-9._/-]{1,128}")
_NAME_FIELDS = frozenset({"$.model_name", "$.model_version", "$.previous_version", "$.name"})
_TIME_PATHS = frozenset({"$.time", "$.expires_at"})
_UncheckedName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]

DecodeErrors = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _row_type(kind: EventKind) -> type[msgspec.Struct]:
    """The event's Struct without the pattern of names, and with `schema`."""
    hints = get_type_hints(EVENT_TYPES[kind], include_extras=True)
    fields: list[Any] = []
    for info in msgspec.structs.fields(EVENT_TYPES[kind]):
        hint = _relaxed(hints[info.encode_name])
        if info.required:
            fields.append((info.name, hint))
        elif info.default_factory is not msgspec.NODEFAULT:
            fields.append((info.name, hint, msgspec.field(default_factory=info.default_factory)))
        else:
            fields.append((info.name, hint, info.default))
    fields.append(("schema", Literal[f"{kind}.v1"] | None, None))
    return msgspec.defstruct(f"{kind.capitalize()}Row", fields, gc=False)


def _relaxed(hint: Any) -> Any:
    if hint == Name:
        return _UncheckedName
    if hint == Name | None:
        return _UncheckedName | None
    return hint


ROW_TYPES: Mapping[EventKind, type[msgspec.Struct]] = {
    kind: _row_type(kind) for kind in EVENT_TYPES
}
KNOWN_FIELDS: Mapping[EventKind, frozenset[str]] = {
    kind: frozenset(type_.__struct_fields__) for kind, type_ in ROW_TYPES.items()
}
DECODE: Mapping[EventKind, Callable[[bytes], Row]] = {
    kind: msgspec.json.Decoder(type_).decode for kind, type_ in ROW_TYPES.items()
}
_anything = msgspec.json.Decoder().decode


def unknown_fields(kind: EventKind, value: bytes) -> int:
    """How many top-level fields of an event no type knows."""
    try:
        fields = _fields(value)
    except DecodeErrors:
        return 0  # the numbers of an ignored field may be beyond every range
    return 0 if is_envelope(fields) else len(fields.keys() - KNOWN_FIELDS[kind])


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def is_utf8(value: bytes) -> bool:
    """Whether all of it is UTF-8; the decoder looks only at the fields it knows."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def document(value: bytes) -> dict[str, Any]:
    """The value as a JSON object, whatever its fields; raises Refused with the reason."""
    if value.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise Refused("encoding", "begins with a byte-order mark")
    if b"\0" in value[:4] or not is_utf8(value):
        raise Refused("encoding", "is not UTF-8")
    try:
        whole = _anything(value)
    except DecodeErrors as error:
        raise _malformed(value, error) from error
    if not isinstance(whole, dict):
        raise Refused("not_an_object", f"is a JSON {type(whole).__name__}, not an object")
    return whole


def _malformed(value: bytes, error: Exception) -> Refused:
    if isinstance(error, RecursionError):
        return Refused("too_deep", "is nested too deep")
    if isinstance(error, UnicodeDecodeError):
        return Refused("encoding", "is not UTF-8")
    message = str(error)
    if "out of range" in message:
        return _number(value, message)
    found = re.search(r"\(byte (\d+)\)", message)
    at = int(found[1]) if found else 0
    if found and value.startswith((b"NaN", b"Infinity"), at):
        return Refused("number_not_finite", "NaN and Infinity are no JSON", f"byte {at}")
    if _LONE_SURROGATE.search(value):
        return Refused("encoding", "holds half a surrogate pair")
    return Refused("syntax", message)


_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)
# No double has so many digits before its point.
_HUGE_INTEGER = re.compile(rb"\d{309}")


def _number(value: bytes, message: str) -> Refused:
    said, path = _place(message)
    if "Integer" in message or _HUGE_INTEGER.search(value):
        return Refused("number_out_of_range", "integer beyond 64 bits", path)
    return Refused("number_not_finite", said, path)


def invalid(value: bytes, error: Exception) -> Refused:
    """Why a decoder refused an object that `document` accepts."""
    said, path = _place(str(error))
    if "out of range" in said:
        return _number(value, str(error))
    if path in _TIME_PATHS:
        return Refused("time", said, path)
    if path == "$.schema":
        return Refused("unknown_kind", said, path)
    if path in _NAME_FIELDS and "length" in said:
        return Refused("bad_name", said, path)
    return Refused("schema", said, path)


def _place(message: str) -> tuple[str, str]:
    """The message and the JSON path that msgspec puts at its end."""
    said, found, path = message.rpartition(" - at `")
    return (said, path.rstrip("`")) if found else (message, "$")


def check_strings(row: Row) -> None:
    """Refuses NUL, which a database's text cannot hold; names the field."""
    for path, text in _strings(msgspec.to_builtins(row), "$"):
        if "\0" in text:
            raise Refused("encoding", "holds a NUL character", path)


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}.{key!r}", key
            yield from _strings(inner, f"{path}.{key}")


E = TypeVar("E", bound=Event)


def event_of(type_: type[E], row: Row) -> E:
    """The row as the event it is, once its names are checked."""
    return type_(**{name: getattr(row, name) for name in type_.__struct_fields__})
