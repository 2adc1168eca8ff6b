"""Events as bytes, right ones and such as are a little wrong, for differential tests."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from typing import Any

from watchkeeper.daemon.transport.codec.decoded import Decoded
from watchkeeper.detectors.blocks import Block, PredictionBlock
from watchkeeper.detectors.texts import Texts, Words, texts_of
from watchkeeper.detectors.types import FloatArray

Event = dict[str, Any]

NUMBERS = (
    "0", "-0", "0.0", "-0.0", "1", "-1", "1e5", "1E-5", "1e+2", "1.5e300", "1e400", "-1e-400",
    "5e-324", "1e22", "1e23", "9007199254740993", "9007199254740993.0", "9223372036854775807",
    "9223372036854775808", "-9223372036854775809", "18446744073709551616", "01", "1.", ".5", "+1",
    "1e", "0.1000000000000000055511151231257827", "123456789012345678901234567890", "NaN",
    "Infinity", "0.30000000000000004", "2.2250738585072011e-308", "17976931348623157e292",
    "0.00000000000000000001234567890123456789", "8.41470984807896507", "0x10", "1_0", "true",
)  # fmt: skip
TEXTS = (
    '""', '"a"',
    '"Stra\u00dfe"', '"\\u00e9"', '"\\n"', '"\\""', '"\\\\"', '"\\u0000"', '"\u65e5\u672c"',
    '"\U0001f600"', '"' + "x" * 255 + '"', '"' + "x" * 256 + '"', '"' + "x" * 257 + '"',
    '"' + "x" * 513 + '"', '"tab\t"', '"\x7f"', '"12345678"', '"1234567"', '"123456789"',
    '"\\ud800"', '"not ended', "'single'", '"\u00e9' + "x" * 255 + '"', '"a b/c"', '"v-1_x.y/z"',
)  # fmt: skip
TIMES = (
    "2026-03-01T12:00:00Z", "2026-03-01T12:00:00z", "2026-03-01t12:00:00Z", "2026-03-01 12:00:00Z",
    "2026-03-01T12:00:00.5Z", "2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:00.123456789Z",
    "2026-03-01T12:00:00.9999999Z", "2026-03-01T12:00:00+01:00", "2026-03-01T12:00:00-23:59",
    "2026-03-01T12:00:00+0100", "2026-03-01T12:00:00+24:00", "2026-02-29T12:00:00Z",
    "2024-02-29T23:59:59.999999Z", "2026-13-01T12:00:00Z", "2026-03-01T24:00:00Z",
    "2026-03-01T12:00:60Z", "2026-03-01T12:00:00", "1989-12-31T23:59:59Z", "1990-01-01T00:00:00Z",
    "2199-12-31T23:59:59.000001Z", "2301-01-01T00:00:00Z", "2026-03-01T12:00Z", "", "now",
    "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00,5Z", "2000-02-29T00:00:00Z",
)  # fmt: skip
OTHERS = ("null", "true", "false", "{}", "[]", "[1]", '{"a":1}', '{"a":{"b":1}}', "nul", "TRUE")


def prediction(rng: random.Random) -> Event:
    """A prediction with some of the fields that one may have."""
    event: Event = {
        "id": f"{rng.getrandbits(128):032x}",
        "time": rng.choice(TIMES[4:9]),
        "model_name": rng.choice(("credit", "fraud", "a/b.c-d_e")),
        "model_version": rng.choice(("1", "2", "v10.3")),
        "request_id": f"r-{rng.getrandbits(rng.choice((4, 32, 64))):x}",
        "features": {name: value(rng) for name, value in _FEATURES if rng.random() < 0.9},
        "prediction": _answer(rng),
    }
    for name, value in _OPTIONAL:
        if rng.random() < 0.15:
            event[name] = value(rng)
    return event


def label(rng: random.Random) -> Event:
    """A truth."""
    event: Event = {
        "id": f"{rng.getrandbits(64):x}",
        "time": rng.choice(TIMES[4:9]),
        "model_name": rng.choice(("credit", "fraud")),
        "request_id": f"r-{rng.getrandbits(32):x}",
    }
    fields: dict[str, Callable[[random.Random], Any]] = {
        "label": lambda r: r.choice(("yes", "no", "", None)),
        "value": lambda r: r.choice((1, 2.5, None)),
        "kind": lambda r: r.choice(("final", "provisional", "proxy")),
        "source": lambda r: r.choice(("crew", "a vendor's feed", "é", "", None)),
        "schema": lambda r: "label.v1",
        "extra": lambda r: {"a": 1},
    }
    return event | {name: value(rng) for name, value in fields.items() if rng.random() < 0.5}


def _answer(rng: random.Random) -> Event:
    fields: Event = {
        "label": rng.choice(("yes", "no", None)),
        "score": rng.choice((0, 1, rng.random(), 1.5, -0.1, None)),
        "value": rng.choice((rng.gauss(0, 1e3), 12, None)),
        "probabilities": rng.choice((None, {"0": 0.25, "1": 0.75}, {})),
        "more": 1,
    }
    kept = rng.sample(sorted(fields), rng.choice((0, 1, 1, 2, 2, 3)))
    return {name: fields[name] for name in kept}


_FEATURES: tuple[tuple[str, Callable[[random.Random], Any]], ...] = (
    ("age", lambda r: r.randrange(18, 90)),
    ("income", lambda r: round(r.gauss(5e4, 1e4), 2)),
    ("ratio", lambda r: r.random()),
    ("tiny", lambda r: r.random() * 10.0 ** r.randrange(-30, 5)),
    ("member", lambda r: r.choice((True, False, None))),
    ("city", lambda r: r.choice(("Bern", "Graz", "Zürich", None))),
    ("mixed", lambda r: r.choice((1, "one", 1.0, True, None))),
    ("a feature with a longer name", lambda r: r.choice(("x", "y"))),
)
_OPTIONAL: tuple[tuple[str, Callable[[random.Random], Any]], ...] = (
    ("duration_s", lambda r: r.choice((r.random(), 3, 0, -1.0, None))),
    ("status", lambda r: r.choice(("ok", "error", "timeout", "late", None))),
    ("error_type", lambda r: r.choice(("Timeout", None))),
    ("entity_id", lambda r: r.choice((f"user-{r.randrange(50)}", "", None))),
    ("source", lambda r: r.choice(("eu-1", None))),
    ("segment", lambda r: r.choice(({}, {"country": "CH"}, {"a": "b", "c": "d"}, {"a": 1}, None))),
    ("sample_rate", lambda r: r.choice((1, 0.5, 0, 2, None))),
    ("traceparent", lambda r: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("schema", lambda r: r.choice(("prediction.v1", "label.v1", "prediction.v2", None))),
    ("unknown", lambda r: r.choice((1, "x", {"a": 1}, {"a": {"b": 2}}, [1], None))),
    ("model_name", lambda r: r.choice(("bad name", "", "x" * 129, "é"))),
)


def written(event: Event, rng: random.Random) -> bytes:
    """The event as JSON, in one of the ways in which libraries write it."""
    separators = rng.choice(((",", ":"), (",", ":"), (", ", ": "), (" ,\n", "\t: ")))
    return json.dumps(event, separators=separators, ensure_ascii=rng.random() < 0.3).encode()


def mutant(raw: bytes, rng: random.Random) -> bytes:
    """The bytes with one or two changes, most of which make them wrong."""
    for _ in range(rng.choice((1, 1, 2))):
        raw = rng.choice(_CHANGES)(raw, rng)
    return raw


def _flipped(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw))
    return (
        raw[:at] + bytes([rng.choice((rng.randrange(256), *b'"\\{}[]:,0-e. \x00'))]) + raw[at + 1 :]
    )


def _cut(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw))
    return raw[:at] + raw[at + rng.choice((1, 1, 2, 9, 1000)) :] or b"{"


def _inserted(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return (
        raw[:at]
        + rng.choice((b" ", b"\n", b"\x0b", b"\xc3", b"\xef\xbb\xbf", b"}", b","))
        + raw[at:]
    )


def _another_value(raw: bytes, rng: random.Random) -> bytes:
    """Puts another value in the place of one."""
    colons = [i for i, byte in enumerate(raw) if byte == 58 and raw[i - 1 : i] in (b'"', b"\t")]
    if not colons:
        return raw
    start = end = rng.choice(colons) + 1
    while end < len(raw) and raw[end : end + 1] not in (b",", b"}"):
        end += 1
    times = [f'"{time}"' for time in TIMES]
    value = rng.choice(rng.choice((NUMBERS, TEXTS, OTHERS, times)))
    return raw[:start] + value.encode() + raw[end:]


def _doubled(raw: bytes, rng: random.Random) -> bytes:
    """Says something once more at the end."""
    more = rng.choice(
        (b'"id":"2"', b'"features":{}', b'"time":1', b'"request_id":"z"', b'"x":"\xff"')
    )
    return raw.rstrip()[:-1] + b"," + more + b"}" + rng.choice((b"", b" ", b"x"))


_CHANGES = (_flipped, _cut, _inserted, _another_value, _another_value, _another_value, _doubled)


def rows_of(blocks: Iterable[Block]) -> dict[int, dict[str, Any]]:
    """Every row of blocks by its `seq`; numbers to the last bit."""
    rows: dict[int, dict[str, Any]] = {}
    for block in blocks:
        columns = _columns(block)
        for i, seq in enumerate(block.seq.tolist()):
            row = {name: column[i] for name, column in columns.items()}
            rows[seq] = {name: value for name, value in row.items() if value not in (None, _NAN)}
    return rows


_NAN = float("nan").hex()


def _columns(block: Block) -> dict[str, list[Any]]:
    columns = {
        "at": _bits(block.at),
        "key": block.key.tolist(),
        "request_id": _texts(block.request_id),
        "label": _texts(block.label),
        "label key": block.label.keys().tolist(),
        "value": _bits(block.value),
    }
    if not isinstance(block, PredictionBlock):
        source = [None] * len(block) if block.source is None else _texts(block.source)
        models = [block.models[i] for i in block.model.tolist()]
        return columns | {"model": models, "source": source}
    return columns | {
        "member": [block.members[i] for i in block.member.tolist()],
        "entity": _texts(block.entity),
        "entity key": block.entity_key.tolist(),
        "duration": _bits(block.duration_s),
        "status": block.status.tolist(),
        "score": _bits(block.score),
        "valid": block.output_valid.tolist(),
        **{f"number {name}": _bits(column) for name, column in block.numeric.items()},
        **{f"text {name}": _texts(words) for name, words in block.categorical.items()},
    }


def _bits(column: FloatArray) -> list[str]:
    return [value.hex() for value in column.tolist()]


def _texts(column: Texts | Words) -> list[str | None]:
    texts: list[str | None] = texts_of(column).tolist()
    return texts


def letters(decoded: Decoded) -> list[tuple[int, str, str, str]]:
    """Which records were refused, and why."""
    return [(d.record.offset, d.reason, d.path, d.message) for d in decoded.dead]
