"""Arrow streams give what the same events give as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.transport.codec.arrow_events import (
    AT,
    KINDS,
    arrow,
    as_json,
    columns,
    label,
    prediction,
    record,
    rows,
    table,
    wide,
)
from tests.examples import examples
from watchkeeper.daemon.transport.codec import decode
from watchkeeper.daemon.transport.codec.arrow import MOST_STREAM
from watchkeeper.daemon.transport.codec.arrow_write import stream_message
from watchkeeper.detectors.types import Prediction, PredictionValue


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


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(predictions, min_size=1, max_size=8))
def test_every_row_ends_as_it_would_as_json(events: list[Prediction]) -> None:
    decoded = decode([record(stream_message(events, "p"))], KINDS, blocks=True)

    plain = [e for e in events if all(v == v for v in e.features.values())]
    finite = [e for e in plain if abs(e.features.get("a") or 0) != float("inf")]  # type: ignore[arg-type]
    assert rows(decoded) == rows(as_json(finite, "p"))
    refused = len(events) - len(rows(decoded))
    assert len(decoded.dead) == bool(refused)
    assert not refused or decoded.dead[0].message.startswith(f"{refused} of {len(events)} rows")


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


def test_a_dictionary_of_many_texts_is_read() -> None:
    events = [prediction(i, request_id=f"{i:0200}") for i in range(300)]
    ids = arrow.array([event.request_id for event in events]).dictionary_encode()

    decoded = decode([table(columns(events, request_id=ids))], KINDS)

    assert not decoded.dead
    assert len(rows(decoded)) == 300


def test_unknown_columns_are_counted() -> None:
    decoded = decode([table(columns([prediction()], zz=[1], yy=["a"]))], KINDS)

    assert decoded.unknown_fields == 2
    assert not decoded.dead


@pytest.mark.parametrize("blocks", [False, True])
def test_a_stream_of_more_bytes_than_another_record_may_have_is_read(blocks: bool) -> None:
    one = record(stream_message(wide(4_000), "p"))

    decoded = decode([one], KINDS, blocks=blocks)

    assert 2 * 262_144 < len(one.value or b"") <= MOST_STREAM
    assert not decoded.dead
    assert sum(map(len, decoded.all_frames())) == 4_000
