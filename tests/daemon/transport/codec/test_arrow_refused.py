"""Arrow streams that are bad, or would take too much: a bad row costs only itself."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.transport.codec.arrow_events import (
    ARROW,
    AT,
    KINDS,
    arrow,
    columns,
    prediction,
    record,
    rows,
    table,
)
from tests.examples import examples
from watchkeeper.daemon.transport.codec import decode
from watchkeeper.daemon.transport.codec.arrow import MOST_ROWS, MOST_STREAM
from watchkeeper.daemon.transport.codec.arrow_write import stream_message
from watchkeeper.daemon.transport.ports import Record


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


@settings(deadline=None, max_examples=examples(100))
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


def test_a_stream_may_have_a_mebibyte_and_no_byte_more() -> None:
    rest = len(table(columns([prediction()], zz=["x" * 640_000])).value or b"") - 640_000
    full, over = (
        table(columns([prediction()], zz=["x" * (MOST_STREAM - rest + extra)])) for extra in (0, 64)
    )

    decoded = decode([full, over], KINDS)

    assert len(full.value or b"") == MOST_STREAM < len(over.value or b"")
    assert [dead.reason for dead in decoded.dead] == ["too_large"]
    assert decoded.dead[0].record is over
