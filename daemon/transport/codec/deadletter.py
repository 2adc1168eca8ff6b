"""Refused records: why, where, and their way to a dead-letter topic and back."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from watchkeeper.daemon.transport.ports import Headers, Message, Record

Reason = Literal[
    "empty",  # no value, or a null value without a key
    "too_large",  # more bytes, headers or features than the limit
    "encoding",  # not UTF-8, a byte-order mark, a lone surrogate or a NUL
    "syntax",  # not JSON
    "not_an_object",  # JSON, but not an object
    "number_not_finite",  # NaN, Infinity or a number beyond a double
    "number_out_of_range",  # an integer beyond 64 bits
    "too_deep",  # nested deeper than the parser goes
    "schema",  # a field is missing or of another type
    "bad_name",  # a name breaks the rule for names
    "time",  # no moment that can be right
    "too_many_models",  # a new model's, beyond the number that is watched
    "unknown_kind",  # nothing says which kind of event it is, or one that is not known
    "unsupported_format",  # a form that this installation does not read
    "partials",  # counts of a spread model that are damaged or do not follow what was merged
    "wrong_topic",  # a kind of event that does not belong on this topic
    "quarantined_range",  # these records and some after it: no client can read them
    "data_gap",  # these records were gone before they were read
]

# These stand for records that were passed over unread: there is nothing to send once more.
UNREAD: tuple[Reason, ...] = ("quarantined_range", "data_gap")

STAGE = "VALUE_CONVERTER"
# A broker takes messages of up to 1 MB by default; what is longer is cut and marked.
LONGEST_VALUE, LONGEST_KEY = 900_000, 32_768
_LONGEST = {"value": LONGEST_VALUE, "key": LONGEST_KEY, "headers": 61_440}
_NUMBER = re.compile(rb"[0-9]{1,18}")
_CONNECT = "__connect.errors."
_OURS = "watchkeeper.error."
_CUT = {f"{_OURS}{part}.size": part for part in _LONGEST}


class DeadLetter(msgspec.Struct, frozen=True):
    """One refused record. `path` is the JSON path of what was wrong, "$" the whole document."""

    record: Record
    reason: Reason
    path: str = "$"
    message: str = ""


def dead_letter_message(letter: DeadLetter, prefix: str = "dlq.") -> Message:
    """The letter for topic `<prefix><topic>`: the original key, value and headers, and the reason.

    The names of the headers are those of Kafka Connect, so that its tools can read them.
    """
    record = shortened(letter.record)
    cut = () if record is letter.record else _marks(record.headers)
    headers = (*_original(record.headers), *_explained(letter), *cut)
    return Message(prefix + record.topic, record.key, record.value, headers)


def shortened(record: Record) -> Record:
    """The record as it is put away: of a value or key that is too long the beginning, of headers
    that take too much none, and for each a header with the bytes that it had."""
    sizes = {
        "value": len(record.value or b""),
        "key": len(record.key or b""),
        "headers": sum(map(_on_the_wire, record.headers)),
    }
    cut = {part: size for part, size in sizes.items() if size > _LONGEST[part]}
    if not cut:
        return record
    marks = tuple((name, b"%d" % cut[part]) for name, part in _CUT.items() if part in cut)
    return msgspec.structs.replace(
        record,
        value=record.value and record.value[:LONGEST_VALUE],
        key=record.key and record.key[:LONGEST_KEY],
        headers=marks if "headers" in cut else record.headers + marks,
    )


def cut_parts(headers: Headers) -> dict[str, int]:
    """The parts of a record that were cut where it was put away, with the bytes that they had."""
    # Whoever sent the record may have written anything there.
    said = {_CUT[name]: text or b"" for name, text in _marks(headers)}
    return {part: int(text) if _NUMBER.fullmatch(text) else 0 for part, text in said.items()}


def _on_the_wire(header: tuple[str, bytes | None]) -> int:
    """The bytes of a header, with the two or more that say how long its parts are."""
    name, text = header
    return len(name.encode(errors="backslashreplace")) + len(text or b"") + 2


def _marks(headers: Headers) -> Headers:
    return tuple((name, text) for name, text in headers if name in _CUT)


def _explained(letter: DeadLetter) -> list[tuple[str, bytes]]:
    record = letter.record
    said = {
        _CONNECT + "topic": record.topic,
        _CONNECT + "partition": str(record.partition),
        _CONNECT + "offset": str(record.offset),
        _CONNECT + "stage": STAGE,
        _CONNECT + "class.name": "watchkeeper.daemon.transport.codec",
        _CONNECT + "exception.class.name": "watchkeeper." + letter.reason,
        _CONNECT + "exception.message": letter.message[:1000],
        _OURS + "reason": letter.reason,
        _OURS + "path": letter.path[:1000],
    }
    return [(name, text.encode(errors="backslashreplace")) for name, text in said.items()]


def replayable(message: Message) -> Message:
    """The message as it was first published. Raises ValueError if it is no whole dead letter."""
    said = dict(message.headers)
    topic = said.get(_CONNECT + "topic")
    if topic is None:
        raise ValueError(f"not a dead letter: it has no header {_CONNECT}topic")
    if cut := cut_parts(message.headers):
        raise ValueError(f"cannot be replayed: its {' and '.join(cut)} was cut")
    return Message(topic.decode(), message.key, message.value, _original(message.headers))


def _original(headers: Headers) -> Headers:
    ours = (_CONNECT, _OURS)
    return tuple(header for header in headers if not header[0].startswith(ours))
