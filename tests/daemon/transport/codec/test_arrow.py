"""Arrow streams give what the same events give as JSON, and a bad row costs only itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.transport.codec.test_bulk import rows_of
from watchkeeper.daemon.transport.codec import Decoded, decode
from watchkeeper.daemon.transport.codec.arrow import MOST_ROWS, MOST_STREAM
from watchkeeper.daemon.transport.codec.arrow_write import stream_message
from watchkeeper.daemon.transport.codec.deadletter import LONGEST_VALUE
from watchkeeper.daemon.transport.ports import Headers, Message, Record
from watchkeeper.detectors.types import EventKind, Label, Prediction, PredictionValue

arrow = pytest.importorskip("pyarrow", reason="needs the extra `parquet`")

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS: dict[str, EventKind] = {"p": "prediction", "l": "label"}
ARROW: Headers = (("content-type", b"application/vnd.apache.arrow.stream"),)


def prediction(i: int = 0, **changed: Any) -> Prediction:
    given: dict[str, Any] = {
        "id": f"e{i}",
        "time": AT + timedelta(microseconds=i),
        "model_name": f"m{i % 2}",
        "model_version": f"{i % 3}",
        "request_id": f"r{i}",
        "features": {"a": i / 7, "b": "xy"[i % 2], "c": None if i % 2 else True, "n": i},
        "prediction": PredictionValue(label="yes", score=0.5),
        "duration_s": 0.1,
        "entity_id": None if i % 2 else f"someone {i}",
        "status": ("ok", "error", "timeout")[i % 3],
    }
    return Prediction(**given | changed)


def label(i: int = 0, **changed: Any) -> Label:
    given: dict[str, Any] = {
        "id": f"l{i}",
        "time": AT,
        "model_name": "m",
        "request_id": f"r{i}",
        "label": "yes",
    }
    return Label(**given | changed)


def record(message: Message, offset: int = 7) -> Record:
    return Record(
        message.topic, 0, offset, AT.timestamp(), message.key, message.value, message.headers
    )


def table(columns: dict[str, Any], topic: str = "p", **options: Any) -> Record:
    made = arrow.table(columns)
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, made.schema, **options) as stream:
        stream.write_table(made)
    value = sink.getvalue().to_pybytes()
    return Record(topic, 0, 7, AT.timestamp(), b"k", value, ARROW)


def columns(events: Sequence[Prediction], **changed: Any) -> dict[str, Any]:
    """A table by hand, with the fields of structs beside the others."""
    made = {
        "id": [e.id for e in events],
        "time": [e.time.isoformat() for e in events],
        "model_name": [e.model_name for e in events],
        "model_version": [e.model_version for e in events],
        "request_id": [e.request_id for e in events],
        "features.a": [e.features["a"] for e in events],
    }
    return {n: c for n, c in (made | changed).items() if c is not None}


def as_json(events: Sequence[Prediction] | Sequence[Label], topic: str) -> Decoded:
    return decode(
        [
            Record(topic, 0, 7, AT.timestamp(), None, msgspec.json.encode(event), ())
            for event in events
        ],
        KINDS,
    )


def rows(decoded: Decoded) -> list[Any]:
    """The rows in order of arrival, without their places."""
    found = []
    for frame in decoded.all_frames():
        one = Decoded(frames=[frame])
        for i in range(len(frame)):
            cut = Decoded(frames=[frame.take(slice(i, i + 1))])
            (row,) = rows_of(cut).values()
            found.append((row[0], {n: c for n, c in row[1].items() if n != "seq"}, *row[2:]))
        assert len(one.frames) == 1
    return sorted(found, key=lambda row: str(row[1]["request_id"]))


@pytest.mark.parametrize("blocks", [False, True])
def test_predictions_are_what_they_are_as_json(blocks: bool) -> None:
    events = [prediction(i) for i in range(50)]

    decoded = decode([record(stream_message(events, "p"))], KINDS, blocks=blocks)

    assert not decoded.dead
    assert rows(decoded) == rows(as_json(events, "p"))
    assert len(decoded.blocks) == blocks


def test_labels_are_what_they_are_as_json() -> None:
    told = [label(i, value=0.5 if i % 2 else None, kind="proxy") for i in range(9)]
    events = [*told, label(9, source="crew"), label(10, source="vendor")]

    decoded = decode([record(stream_message(events, "l"))], KINDS, blocks=True)

    assert not decoded.dead
    assert rows(decoded) == rows(as_json(events, "l"))


texts = st.text(st.characters(codec="utf-8"), max_size=4)
predictions = st.builds(
    prediction,
    st.integers(0, 99),
    time=st.datetimes(datetime(1980, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001
        lambda t: t.replace(tzinfo=UTC)
    ),
    model_name=st.sampled_from(["m", "a b", ""]),
    request_id=texts,
    entity_id=st.one_of(st.none(), texts),
    features=st.fixed_dictionaries(
        {},
        optional={
            "a": st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats()),
            "b": st.one_of(st.none(), texts),
            "\x1b": st.just(1.0),
        },
    ),
    prediction=st.builds(
        PredictionValue,
        st.one_of(st.none(), texts),
        st.one_of(st.none(), st.floats(-1, 2)),
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        st.one_of(st.none(), st.dictionaries(st.sampled_from("01"), st.floats(0, 1))),
    ),
    duration_s=st.one_of(st.none(), st.floats(-1, 1)),
    status=st.sampled_from(["ok", "late"]),
    segment=st.dictionaries(texts, texts, max_size=1),
    sample_rate=st.sampled_from([1.0, 0.0]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(predictions, min_size=1, max_size=8))
def test_every_row_ends_as_it_would_as_json(events: list[Prediction]) -> None:
    decoded = decode([record(stream_message(events, "p"))], KINDS, blocks=True)

    plain = [e for e in events if all(v == v for v in e.features.values())]
    finite = [e for e in plain if abs(e.features.get("a") or 0) != float("inf")]  # type: ignore[arg-type]
    assert rows(decoded) == rows(as_json(finite, "p"))
    refused = len(events) - len(rows(decoded))
    assert len(decoded.dead) == bool(refused)
    assert not refused or decoded.dead[0].message.startswith(f"{refused} of {len(events)} rows")


def test_a_bad_row_costs_only_itself_and_can_be_sent_again() -> None:
    events = [prediction(i) for i in range(9)]
    events[4] = prediction(4, model_name="a b")
    events[6] = prediction(6, features={"a": float("nan")})

    decoded = decode([record(stream_message(events, "p"))], KINDS, blocks=True)

    (dead,) = decoded.dead
    assert (dead.reason, dead.path, dead.record.offset) == ("bad_name", "$[4].model_name", 7)
    assert dead.message.startswith("2 of 9 rows: row 4 $.model_name")
    assert "row 6 $.features.a" in dead.message
    assert len(rows(decoded)) == 7
    again = decode([dead.record], KINDS)
    assert again.dead[0].message.startswith("2 of 2 rows")
    assert not again.frames


def test_every_row_has_the_place_of_its_record() -> None:
    records = [record(stream_message([prediction(2 * i)] * 3, "p")) for i in range(4)]

    decoded = decode(records, KINDS, blocks=True)

    (block,) = decoded.blocks
    assert block.seq.tolist() == [i for i in range(4) for _ in range(3)]


@pytest.mark.parametrize(
    "times",
    [
        arrow.array([1_772_366_400], arrow.timestamp("s", "UTC")),
        arrow.array([1_772_366_400_000], arrow.timestamp("ms", "Europe/Berlin")),
        arrow.array([1_772_366_400_000_000_499], arrow.timestamp("ns", "UTC")),
        arrow.array(["2026-03-01T13:00:00+01:00"]),
        arrow.array(["2026-03-01T12:00:00Z"], arrow.large_string()).dictionary_encode(),
    ],
    ids=lambda array: str(array.type),
)
def test_times_are_read_in_every_unit(times: Any) -> None:
    decoded = decode([table(columns([prediction()], time=times))], KINDS)

    assert not decoded.dead
    assert decoded.frames[0].at.tolist() == [AT.timestamp()]


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("no zone", {"time": arrow.array([AT], arrow.timestamp("us"))}, "time", "$[0].time"),
    ("1980", {"time": ["1980-01-01T00:00:00Z"]}, "time", "$[0].time"),
    ("far", {"time": arrow.array([2**62], arrow.timestamp("s", "UTC"))}, "time", "$[0].time"),
    ("no time", {"time": None}, "schema", "$[0]"),
    ("no id", {"id": None}, "schema", "$[0]"),
    ("empty id", {"id": [""]}, "schema", "$[0].id"),
    ("a number for a name", {"model_name": [1]}, "schema", "$[0].model_name"),
    ("bad name", {"model_version": ["é"]}, "bad_name", "$[0].model_version"),
    ("NUL", {"features.b": ["\0"]}, "encoding", "$[0].features.b"),
    ("infinite", {"features.b": [float("inf")]}, "number_not_finite", "$[0].features.b"),
    (
        "2^63",
        {"features.b": arrow.array([2**63], arrow.uint64())},
        "number_out_of_range",
        "$[0].features.b",
    ),
    ("a list", {"features.b": [[1]]}, "schema", "$[0].features[...]"),
    ("a feature's name", {"features.\x1b": [1]}, "bad_name", "$[0].features"),
    ("a duration", {"duration_s": [-1.0]}, "schema", "$[0].duration_s"),
    ("true for a number", {"duration_s": [True]}, "schema", "$[0].duration_s"),
    ("a status", {"status": ["late"]}, "schema", "$[0].status"),
    ("a rate", {"sample_rate": [0.0]}, "schema", "$[0].sample_rate"),
    ("features of one type", {"features": ["x"]}, "schema", "$[0].features"),
]


@pytest.mark.parametrize(
    ("changed", "reason", "path"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_bad_rows_have_the_reasons_of_json(changed: dict[str, Any], reason: str, path: str) -> None:
    decoded = decode([table(columns([prediction()], **changed))], KINDS, blocks=True)

    (dead,) = decoded.dead
    assert (dead.reason, dead.path) == (reason, path)
    assert not decoded.blocks


GOOD = stream_message([prediction(i) for i in range(3)], "p").value or b""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "empty"),
        (b"{}", "syntax"),
        (GOOD[: len(GOOD) // 2], "syntax"),
        (GOOD + GOOD, "syntax"),
        (GOOD.replace(b"m0m1m0", b"\xff0m1m0"), "syntax"),
        (b"x" * MOST_STREAM, "syntax"),
        (b"x" * (MOST_STREAM + 1), "too_large"),
    ],
)
def test_a_bad_stream_is_one_dead_letter(value: bytes, reason: str) -> None:
    decoded = decode([Record("p", 0, 7, AT.timestamp(), b"k", value, ARROW)], KINDS, blocks=True)

    (dead,) = decoded.dead
    assert (dead.reason, dead.record.value) == (reason, value)
    assert not decoded.blocks


@settings(deadline=None, max_examples=100)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_damaged_stream_harms_nobody(place: int, byte: int) -> None:
    value = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]

    decoded = decode([Record("p", 0, 7, AT.timestamp(), b"k", value, ARROW)], KINDS, blocks=True)

    assert len(rows(decoded)) == 3 or decoded.dead


def test_compressed_streams_are_refused() -> None:
    options = arrow.ipc.IpcWriteOptions(compression="zstd")

    decoded = decode([table(columns([prediction()] * 99), options=options)], KINDS)

    assert [dead.reason for dead in decoded.dead] == ["unsupported_format"]


def test_too_many_rows_are_refused() -> None:
    none = arrow.nulls(MOST_ROWS + 1)

    decoded = decode([table({"id": none})], KINDS)

    assert [dead.reason for dead in decoded.dead] == ["too_large"]


def shared(text: str, rows: int) -> Any:
    """One text for all rows, which stands in the stream once."""
    return arrow.DictionaryArray.from_arrays(arrow.array([0] * rows, arrow.int8()), [text])


LARGE: dict[str, dict[str, Any]] = {
    "a list without end": {
        "x": arrow.ListArray.from_arrays(
            arrow.array([0, 9_000_000], arrow.int32()), arrow.nulls(9_000_000)
        )
    },
    "a list of fixed size": {
        "x": arrow.FixedSizeListArray.from_arrays(arrow.nulls(9_000_000), 9_000_000)
    },
    "a list in a struct": {
        "features": arrow.StructArray.from_arrays(
            [arrow.FixedSizeListArray.from_arrays(arrow.nulls(9_000_000), 9_000_000)], ["x"]
        )
    },
    "a text for many rows": {"x": shared("x" * 100_000, 1_000)},
    "columns that take no bytes": {f"x{i}": arrow.nulls(5_000) for i in range(500)},
}


@pytest.mark.parametrize("columns", LARGE.values(), ids=LARGE)
def test_few_bytes_that_stand_for_many_are_refused(columns: dict[str, Any]) -> None:
    one = table(columns)

    decoded = decode([one], KINDS)

    assert len(one.value or b"") < 262_144
    assert [dead.reason for dead in decoded.dead] == ["too_large"]


SHARING: dict[str, Any] = {
    "views of text": arrow.array(["x"], arrow.string_view()),
    "views of lists": arrow.array([[1]], arrow.list_view(arrow.int8())),
    "runs": arrow.RunEndEncodedArray.from_arrays([1], ["x"]),
    "views in a struct": arrow.array([{"x": "y"}], arrow.struct([("x", arrow.string_view())])),
}


@pytest.mark.parametrize("column", SHARING.values(), ids=SHARING)
def test_types_whose_values_may_share_bytes_are_refused(column: Any) -> None:
    decoded = decode([table(columns([prediction()], x=column))], KINDS)

    assert [dead.reason for dead in decoded.dead] == ["unsupported_format"]


def test_a_dictionary_of_many_texts_is_read() -> None:
    events = [prediction(i, request_id=f"{i:0200}") for i in range(300)]
    ids = arrow.array([event.request_id for event in events]).dictionary_encode()

    decoded = decode([table(columns(events, request_id=ids))], KINDS)

    assert not decoded.dead
    assert len(rows(decoded)) == 300


def test_other_kinds_and_other_topics_are_refused() -> None:
    message = stream_message([prediction()], "l")
    bare = table(columns([prediction()]), topic="other")
    log = Record("o", 0, 0, 0.0, None, GOOD, ARROW)

    decoded = decode([record(message), bare, log], KINDS | {"o": "log"})

    assert [d.reason for d in decoded.dead] == ["wrong_topic", "unknown_kind", "unsupported_format"]


def test_without_pyarrow_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    one = record(stream_message([prediction()], "p"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    (dead,) = decode([one], KINDS).dead

    assert dead.reason == "unsupported_format"
    assert "watchkeeper[parquet]" in dead.message


def test_unknown_columns_are_counted() -> None:
    decoded = decode([table(columns([prediction()], zz=[1], yy=["a"]))], KINDS)

    assert decoded.unknown_fields == 2
    assert not decoded.dead


def test_what_a_stream_cannot_hold_is_said() -> None:
    with pytest.raises(ValueError, match="number in one event"):
        stream_message([prediction(features={"a": 1}), prediction(features={"a": "x"})], "p")
    with pytest.raises(ValueError, match="1 to"):
        stream_message([], "p")


def wide(rows: int, features: int = 14) -> list[Prediction]:
    """Events with numbers that have nothing in common."""
    names = [f"n{k}" for k in range(features)]
    return [
        prediction(i, features={n: 1 / (i * features + k + 1) for k, n in enumerate(names)})
        for i in range(rows)
    ]


@pytest.mark.parametrize("blocks", [False, True])
def test_a_stream_of_more_bytes_than_another_record_may_have_is_read(blocks: bool) -> None:
    one = record(stream_message(wide(4_000), "p"))

    decoded = decode([one], KINDS, blocks=blocks)

    assert 2 * 262_144 < len(one.value or b"") <= MOST_STREAM
    assert not decoded.dead
    assert sum(map(len, decoded.all_frames())) == 4_000


def test_a_stream_may_have_a_mebibyte_and_no_byte_more() -> None:
    rest = len(table(columns([prediction()], zz=["x" * 640_000])).value or b"") - 640_000
    full, over = (
        table(columns([prediction()], zz=["x" * (MOST_STREAM - rest + extra)])) for extra in (0, 64)
    )

    decoded = decode([full, over], KINDS)

    assert len(full.value or b"") == MOST_STREAM < len(over.value or b"")
    assert [dead.reason for dead in decoded.dead] == ["too_large"]
    assert decoded.dead[0].record is over


def test_no_stream_is_written_that_a_dead_letter_would_cut() -> None:
    said = stream_message([prediction(request_id="x" * 890_000)], "p").value or b""

    assert 890_000 < len(said) <= LONGEST_VALUE
    with pytest.raises(ValueError, match="more than 900000: give fewer than 6000 events at once"):
        stream_message(wide(6_000), "p")


BEYOND: dict[str, tuple[int, dict[str, Any], str]] = {
    "many in few bytes": (7_000, {f"n{k}": True for k in range(90)}, "values take more than"),
    "too many columns": (1, {f"n{k}": True for k in range(4_097)}, "columns, more than 4096"),
}


@pytest.mark.parametrize(("rows", "features", "said"), BEYOND.values(), ids=BEYOND)
def test_no_stream_is_written_that_would_be_refused(
    rows: int, features: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        stream_message([prediction(i, features=features) for i in range(rows)], "p")
