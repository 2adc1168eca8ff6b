"""Every bad input has its answer, and the ones around it are decoded all the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.costs import at_most, seconds
from watchkeeper.daemon.transport.codec import Decoded, Reason, decode
from watchkeeper.daemon.transport.ports import Headers, Record
from watchkeeper.detectors.types import EventKind, PredictionFrame

KINDS: dict[str, EventKind] = {"p": "prediction", "c": "command", "m": "metric"}
NOW = 1_772_366_400.0  # 2026-03-01T12:00:00Z
GOOD: dict[str, Any] = {
    "id": "e-1",
    "time": "2026-03-01T12:00:00Z",
    "model_name": "fraud",
    "model_version": "v1",
    "request_id": "r-1",
    "features": {"amount": 12.5, "country": "de"},
    "prediction": {"label": "1", "score": 0.7},
}


def record(value: bytes | None, topic: str = "p", headers: Headers = ()) -> Record:
    return Record(topic, 0, 0, NOW, b"fraud", value, headers)


def with_field(name: str, raw: bytes) -> bytes:
    """A good prediction with one field replaced by raw JSON."""
    rest = {k: v for k, v in GOOD.items() if k != name}
    return msgspec.json.encode(rest)[:-1] + b',"' + name.encode() + b'":' + raw + b"}"


def named(raw: bytes) -> bytes:
    return with_field("model_name", raw)


def without(name: str) -> bytes:
    return msgspec.json.encode({k: v for k, v in GOOD.items() if k != name})


def feature(raw: bytes) -> bytes:
    return with_field("features", b'{"amount":' + raw + b"}")


GOOD_VALUE = msgspec.json.encode(GOOD)
DEEP = 2_000
MODEL = "$.model_name"
MANY = msgspec.json.encode(dict.fromkeys(map(str, range(2_001)), 1))

CASES: list[tuple[str, bytes, Reason, str]] = [
    ("1 empty", b"", "empty", "$"),
    ("2 null", b"null", "not_an_object", "$"),
    ("2 array", b"[]", "not_an_object", "$"),
    ("2 string", b'"x"', "not_an_object", "$"),
    ("2 number", b"1", "not_an_object", "$"),
    ("3 bad UTF-8", with_field("id", b'"\xff"'), "encoding", "$"),
    ("3 bad UTF-8 in an unknown field", with_field("zz", b'"\xff"'), "encoding", "$"),
    ("3 UTF-16", GOOD_VALUE.decode().encode("utf-16"), "encoding", "$"),
    ("3 UTF-16 without mark", GOOD_VALUE.decode().encode("utf-16-le"), "encoding", "$"),
    ("3 byte-order mark", b"\xef\xbb\xbf" + GOOD_VALUE, "encoding", "$"),
    ("4 trailing data", GOOD_VALUE + b"x", "syntax", "$"),
    ("4 comment", GOOD_VALUE + b"//c", "syntax", "$"),
    ("4 comment after what is no event", b'{"a":1}//c', "syntax", "$"),
    ("4 single quotes", b"{'a':1}", "syntax", "$"),
    ("4 raw control character", with_field("id", b'"a\nb"'), "syntax", "$"),
    ("4 cut off", GOOD_VALUE[:-5], "syntax", "$"),
    ("5 NaN", feature(b"NaN"), "number_not_finite", ""),
    ("5 Infinity", feature(b"Infinity"), "number_not_finite", ""),
    ("5 -Infinity", feature(b"-Infinity"), "number_not_finite", ""),
    ("5 1e400", feature(b"1e400"), "number_not_finite", ""),
    ("5 1e400 as a duration", with_field("duration_s", b"1e400"), "number_not_finite", ""),
    ("6 2^63", feature(b"%d" % 2**63), "number_out_of_range", "$.features.amount"),
    ("6 2^64", feature(b"%d" % 2**64), "number_out_of_range", "$.features.amount"),
    ("6 -2^63-1", feature(b"-%d" % (2**63 + 1)), "number_out_of_range", "$.features.amount"),
    ("6 10^400", feature(b"1" + b"0" * 400), "number_out_of_range", ""),
    ("6 10^5000", feature(b"1" + b"0" * 5_000), "number_out_of_range", ""),
    ("7 deep", with_field("zz", b"[" * DEEP + b"]" * DEEP), "too_deep", "$"),
    ("7 deeper", b'{"zz":' + b"[" * 200_000, "too_deep", "$"),
    ("8 a million keys", b'{"a":1' + b',"b":1' * 1_000_000 + b"}", "too_large", "$"),
    ("8 a long string", b'{"a":"' + b"x" * 10_000_000 + b'"}', "too_large", "$"),
    ("11 a number in quotes", with_field("duration_s", b'"0.5"'), "schema", "$.duration_s"),
    ("11 true for a number", with_field("duration_s", b"true"), "schema", "$.duration_s"),
    ("11 a list for a string", with_field("request_id", b"[]"), "schema", "$.request_id"),
    ("11 a list for a feature", feature(b"[1]"), "schema", "$.features[...]"),
    ("12 no model", without("model_name"), "schema", "$"),
    ("12 no id", without("id"), "schema", "$"),
    ("12 no time", without("time"), "schema", "$"),
    ("13 half a surrogate pair", named(b'"\\ud800"'), "encoding", "$"),
    ("13 the other half", named(b'"\\udc00x"'), "encoding", "$"),
    ("14 NUL", with_field("request_id", b'"a\\u0000b"'), "encoding", "$.request_id"),
    ("14 NUL in a feature", feature(b'"\\u0000"'), "encoding", "$.features.amount"),
    ("15 escape in a name", named(b'"a\\u001b[31m"'), "bad_name", MODEL),
    ("15 newline in a name", named(b'"fraud\\n"'), "bad_name", MODEL),
    ("15 look-up in a name", named(b'"${jndi:x}"'), "bad_name", MODEL),
    ("16 long name", named(b'"' + b"x" * 10_000 + b'"'), "bad_name", MODEL),
    ("16 empty name", named(b'""'), "bad_name", MODEL),
    ("16 quotes", with_field("model_version", b'"a\\"b\\\\"'), "bad_name", "$.model_version"),
    ("16 right-to-left mark", named("\"a\u200f\"".encode()), "bad_name", MODEL),
    ("16 homoglyph", named("\"fr\u0430ud\"".encode()), "bad_name", MODEL),
    ("16 feature's name", with_field("features", b'{"a\\u001b":1}'), "bad_name", "$.features"),
    ("17 too many features", with_field("features", MANY), "too_large", "$.features"),
    ("18 1970", with_field("time", b'"1970-01-01T00:00:00Z"'), "time", "$.time"),
    ("18 the year 9999", with_field("time", b'"9999-12-31T23:59:59Z"'), "time", "$.time"),
    ("18 negative", with_field("time", b"-1"), "time", "$.time"),
    ("18 milliseconds", with_field("time", b"1772366400000"), "time", "$.time"),
    ("18 no offset", with_field("time", b'"2026-03-01T12:00:00"'), "time", "$.time"),
    ("18 eleven minutes ahead", with_field("time", b'"2026-03-01T12:11:01Z"'), "time", "$.time"),
    ("18 a day ahead", with_field("time", b'"2026-03-02T12:00:01Z"'), "time", "$.time"),
    ("another version", with_field("schema", b'"prediction.v2"'), "unknown_kind", "$.schema"),
]  # fmt: skip


@pytest.mark.parametrize("blocks", [False, True], ids=["frames", "blocks"])
@pytest.mark.parametrize(
    ("value", "reason", "path"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_bad_record_is_one_dead_letter_and_spoils_no_other(
    value: bytes, reason: Reason, path: str, blocks: bool
) -> None:
    batch = [record(GOOD_VALUE), record(value), record(GOOD_VALUE)]

    decoded = decode(batch, KINDS, blocks=blocks)

    (dead,) = decoded.dead
    assert (dead.reason, dead.record.value) == (reason, value)
    assert dead.path == path or not path
    assert dead.message or reason == "empty"
    assert [frame.seq.tolist() for frame in decoded.all_frames()] == [[0, 2]]
    assert len(decoded.blocks) == blocks
    good = [record(GOOD_VALUE)] * 3
    assert at_most(
        200,
        lambda: seconds(lambda: decode(batch, KINDS, blocks=blocks)),
        lambda: seconds(lambda: decode(good, KINDS, blocks=blocks)),
    )


def one(value: bytes | None, **kwargs: Any) -> Decoded:
    return decode([record(value)], KINDS, **kwargs)


def only_frame(decoded: Decoded) -> PredictionFrame:
    assert not decoded.dead
    (frame,) = decoded.frames
    assert isinstance(frame, PredictionFrame)
    return frame


def test_a_tombstone_is_counted_and_ignored() -> None:
    decoded = one(None)

    assert decoded.tombstones == 1
    assert not decoded.dead


def test_a_null_without_a_key_is_refused() -> None:
    (dead,) = decode([Record("p", 0, 0, NOW, None, None)], KINDS).dead

    assert dead.reason == "empty"


def test_what_is_too_large_is_not_parsed() -> None:
    value = b'{"a":"' + b"x" * 50_000_000 + b'"}'
    (dead,) = one(value).dead

    assert dead.reason == "too_large"
    assert at_most(
        0.1,
        lambda: seconds(lambda: one(value)),
        lambda: seconds(lambda: msgspec.json.decode(value)),
    )


def test_the_last_of_two_equal_keys_counts() -> None:
    frame = only_frame(one(with_field("zz", b'1,"model_name":"other"')))

    assert frame.model == "other"


def test_unknown_fields_are_counted() -> None:
    assert one(with_field("zz", b'1,"yy":{"a":[]}')).unknown_fields == 2


def test_odd_texts_stay_as_they_are() -> None:
    text = "\x1b[31m\r\n%n ${jndi:ldap://x}"

    frame = only_frame(one(feature(msgspec.json.encode(text))))

    assert frame.categorical["amount"].tolist() == [text]


def test_a_name_may_look_like_a_path() -> None:
    frame = only_frame(one(named(b'"../../etc"')))

    assert frame.model == "../../etc"


def test_impossible_probabilities_are_kept_and_marked() -> None:
    values = [
        with_field("prediction", raw)
        for raw in (
            b'{"score":0.5}',
            b'{"score":1.2}',
            b'{"probabilities":{"a":0.5,"b":0.5}}',
            b'{"probabilities":{"a":2,"b":1}}',
            b'{"value":1e308}',
            b"{}",
        )
    ]

    frame = only_frame(decode([record(v) for v in values], KINDS))

    assert frame.output_valid.tolist() == [True, False, True, False, True, True]
    assert frame.label.tolist() == [None, None, "a", "a", None, None]


def test_large_numbers_and_booleans_are_numbers() -> None:
    values = [
        feature(raw) for raw in (b"1e308", b"true", b"9007199254740993", b"-9223372036854775808")
    ]

    frame = only_frame(decode([record(v) for v in values], KINDS))

    assert frame.numeric["amount"].tolist() == [1e308, 1.0, 2.0**53, -(2.0**63)]


def test_without_a_record_time_the_given_now_decides() -> None:
    timeless = Record("p", 0, 0, 0.0, None, with_field("time", b'"2026-03-05T00:00:00Z"'))

    assert decode([timeless], KINDS, now=NOW).dead[0].reason == "time"
    assert not decode([timeless], KINDS).dead


def test_too_many_headers_are_refused() -> None:
    (dead,) = decode([record(GOOD_VALUE, headers=(("h", b""),) * 10_000)], KINDS).dead

    assert (dead.reason, dead.path) == ("too_large", "headers")


def test_nothing_says_which_kind() -> None:
    (dead,) = decode([record(b'{"a":1}', topic="other")], KINDS).dead

    assert dead.reason == "unknown_kind"


COMMAND = {
    "id": "c-1",
    "time": "2026-03-01T12:00:00Z",
    "command": "approve",
    "target": "act-1",
    "args": {"n": 1},
}


@pytest.mark.parametrize(
    ("changed", "reason", "path"),
    [
        ({"command": "explode"}, "schema", "$.command"),
        ({"model_name": "a b"}, "bad_name", MODEL),
        ({"args": {"n": 2**63}}, "number_out_of_range", "$.args.n"),
        ({"expires_at": "1970-01-01T00:00:00Z"}, "time", "$.expires_at"),
        ({"time": "2030-01-01T00:00:00Z"}, "time", "$.time"),
    ],
)
def test_bad_commands_are_refused(changed: dict[str, Any], reason: str, path: str) -> None:
    decoded = decode([record(msgspec.json.encode(COMMAND | changed), topic="c")], KINDS)

    (dead,) = decoded.dead
    assert (dead.reason, dead.path) == (reason, path)
    assert not decoded.commands


def test_a_metric_with_a_bad_name_is_refused() -> None:
    metric = {"id": "m", "time": "2026-03-01T12:00:00Z", "model_name": "f", "value": 1}
    values = [msgspec.json.encode(metric | {"name": name}) for name in ("cpu", "a b", "gpu")]

    decoded = decode([record(v, topic="m") for v in values], KINDS)

    assert [(d.reason, d.path) for d in decoded.dead] == [("bad_name", "$.name")]
    assert decoded.frames[0].seq.tolist() == [0, 2]


def test_a_flood_of_new_feature_names_is_cut_into_frames() -> None:
    values = [
        with_field("features", msgspec.json.encode({f"f{n}-{i}": i for i in range(1_000)}))
        for n in range(20)
    ]

    decoded = decode([record(v) for v in values], KINDS)

    assert not decoded.dead
    assert [s for frame in decoded.frames for s in frame.seq.tolist()] == list(range(20))
    for frame in decoded.frames:
        assert isinstance(frame, PredictionFrame)
        assert len(frame.numeric) <= 4_096
