"""What is read in bulk is, bit for bit, what the general way makes of the same records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.transport.codec.test_columns import AT, json_values, scalars
from tests.daemon.transport.codec.test_columns import records as odd_records
from tests.examples import examples
from watchkeeper.daemon.transport.codec import Decoded, decode
from watchkeeper.daemon.transport.codec.bulk import Learned
from watchkeeper.daemon.transport.codec.packing import SLACK
from watchkeeper.daemon.transport.ports import Headers, Record
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.blocks import LabelBlock, PredictionBlock
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.types import EventKind, LabelFrame, PredictionFrame

KINDS: dict[str, EventKind] = {
    "p": "prediction",
    "q": "prediction",
    "l": "label",
    "c": "command",
    "o": "log",
}
_PLAIN = ("at", "seq", "request_id", "entity", "duration_s", "status", "label", "score", "value")
_COLUMNS = (*_PLAIN, "output_valid")


def rows_of(decoded: Decoded) -> dict[int, Any]:
    """Every prediction and label by its place, bit for bit."""
    rows: dict[int, Any] = {}
    for frame in decoded.all_frames():
        if not isinstance(frame, PredictionFrame | LabelFrame):
            continue
        names = [name for name in _COLUMNS if hasattr(frame, name)]
        columns = [getattr(frame, name) for name in names]
        assert {column.dtype.str for column in columns} <= {"<f8", "<i8", "|b1", "|O"}
        for i, seq in enumerate(frame.seq.tolist()):
            assert seq not in rows
            cells = {name: repr(c[i]) for name, c in zip(names, columns, strict=True)}
            if isinstance(frame, LabelFrame):
                cells["source"] = repr(None if frame.source is None else frame.source[i])
            rows[seq] = (frame.model, cells, *features_of(frame, i))
    return rows


def features_of(frame: PredictionFrame | LabelFrame, i: int) -> tuple[Any, ...]:
    if isinstance(frame, LabelFrame):
        return ()
    numeric = {n: c[i].tobytes() for n, c in frame.numeric.items() if not np.isnan(c[i])}
    words = {n: c[i] for n, c in frame.categorical.items() if c[i] is not None}
    return frame.version, numeric, words


def same(one: Decoded, other: Decoded) -> None:
    """Whether both hold the same; predictions and labels may be cut into frames otherwise."""
    assert rows_of(one) == rows_of(other)
    assert one.dead == other.dead
    assert one.commands == other.commands
    assert one.tombstones == other.tombstones


def sound(decoded: Decoded) -> None:
    """What every block promises."""
    for block in decoded.blocks:
        texts = block.request_id
        assert isinstance(texts, np.ndarray)
        np.testing.assert_array_equal(block.key, keys_of(texts.tolist()))
        assert (np.diff(block.seq) > 0).all()
        if isinstance(block, LabelBlock):
            continue
        assert isinstance(block.entity, np.ndarray)
        np.testing.assert_array_equal(block.entity_key, keys_of(block.entity.tolist()))
        for words in (block.label, *block.categorical.values()):
            assert len(set(words.words)) == len(words.words)
        assert not any(np.isnan(column).all() for column in block.numeric.values())
        assert all((words.codes >= 0).any() for words in block.categorical.values())


def both(batch: Sequence[Record], times: int = 3) -> Decoded:
    """The batch in blocks, read several times so that its shapes are known in the end."""
    expected = decode(batch, KINDS, now=AT)
    bulk = Learned()
    for columns in (Records.of(batch), Records.of(batch), spans(batch))[:times]:
        decoded = decode(columns, KINDS, now=AT, blocks=True, bulk=bulk)
        same(decoded, expected)
        sound(decoded)
    return decoded


def spans(batch: Sequence[Record]) -> Records:
    """The records with their values in one buffer."""
    columns = Records.of(batch)
    return Records(
        columns.places,
        columns.place,
        columns.offset,
        columns.at,
        None,
        columns.span(),
        columns.keys,
        columns.headers,
    )


times = st.one_of(
    st.just("2026-03-01T12:00:00Z"),
    st.from_regex(
        r"20[012][0-9]-[01][0-9]-[0-3][0-9][Tt ][012][0-9]:[0-6][0-9]:[0-6][0-9]"
        r"(\.[0-9]{1,8})?(Z|z|[+-][012][0-9]:?[0-6][0-9])?",
        fullmatch=True,
    ),
)
names = st.sampled_from(["m1", "m2", "v1", "a/b", "bad name", "fräud", ""])
texts = st.one_of(st.text("xyz", min_size=1, max_size=9), st.text(max_size=5))
features = st.one_of(
    st.fixed_dictionaries({"a": st.floats(0, 9), "b": st.sampled_from(["x", "y"])}),
    st.dictionaries(st.sampled_from(["a", "b", "c", "é", 'q"', "f0", "x\\y"]), scalars, max_size=7),
    st.dictionaries(st.text(max_size=3), st.one_of(scalars, st.integers()), max_size=3),
)
answers = st.fixed_dictionaries(
    {},
    optional={
        "label": st.one_of(st.none(), texts),
        "score": st.one_of(st.none(), st.floats(-1, 2), st.integers(-1, 2)),
        "value": st.floats(allow_nan=False, allow_infinity=False),
        "probabilities": st.dictionaries(texts, st.floats(-0.1, 1.1), max_size=3),
        "more": json_values,
    },
)
predictions = st.fixed_dictionaries(
    {
        "id": st.just("e"),
        "time": times,
        "model_name": names,
        "model_version": names,
        "request_id": texts,
    },
    optional={
        "features": features,
        "prediction": answers,
        "duration_s": st.one_of(st.none(), st.floats(-0.1, 1e6)),
        "status": st.sampled_from(["ok", "error", "timeout", "other"]),
        "entity_id": st.one_of(st.none(), texts),
        "sample_rate": st.sampled_from([0.5, 0, 2]),
        "segment": st.dictionaries(texts, st.one_of(texts, st.integers()), max_size=2),
        "schema": st.sampled_from(["prediction.v1", "label.v1", None]),
        "zz": json_values,
    },
)
labels = st.fixed_dictionaries(
    {"id": st.just("e"), "time": times, "model_name": names, "request_id": texts},
    optional={
        "label": st.one_of(st.none(), texts),
        "value": st.one_of(st.none(), st.floats(allow_nan=False)),
        "kind": st.sampled_from(["final", "proxy", "other"]),
        "source": st.one_of(st.none(), texts),
        "zz": json_values,
    },
)
headers: st.SearchStrategy[Headers] = st.sampled_from(
    [
        (),
        (("ce_type", b"watchkeeper.prediction.v1"), ("ce_id", b"i")),
        (("ce_id", b"i"), ("ce_type", b"label.v1")),
        (("content-type", b"application/json"),),
    ]
)


def value_of(event: Any, escaped: bool) -> bytes:
    try:
        return json.dumps(event, ensure_ascii=escaped).encode()
    except UnicodeEncodeError:
        return json.dumps(event).encode()


values = st.builds(value_of, st.one_of(predictions, labels), st.booleans())
likely = st.builds(
    Record,
    st.sampled_from(["p", "q", "l"]),
    st.just(0),
    st.integers(0, 9),
    st.sampled_from([0.0, AT]),
    st.sampled_from([None, b"m1", b"m2", b"e"]),
    values,
    headers,
)


@settings(deadline=None, max_examples=examples(250))
@given(st.lists(st.one_of(likely, likely, odd_records), max_size=12))
def test_blocks_hold_what_frames_would(batch: list[Record]) -> None:
    both(batch)


def good(i: int, features: dict[str, Any], **more: Any) -> Record:
    event = {
        "id": f"e{i}",
        "time": "2026-03-01T12:00:00Z",
        "model_name": "m",
        "model_version": "1",
        "request_id": f"r-{i}",
        "features": features,
    }
    return Record("p", 0, i, AT, None, msgspec.json.encode(event | more), ())


def taken(batch: Sequence[Record]) -> int:
    """How many records are read in bulk once their shapes are known."""
    bulk = Learned()
    columns = Records.of(batch)
    for _ in range(4):
        left = bulk("prediction", columns, np.arange(len(batch)), np.full(len(batch), AT)).left
    return len(batch) - len(left)


ONE = {"a": 1.5, "b": "x"}
TAKEN: dict[str, list[Record]] = {
    "plain": [good(i, ONE) for i in range(9)],
    "not ASCII": [good(i, {"größe": 1, "b": "ü"}, entity_id="é") for i in range(9)],
    "nulls": [good(i, {"a": None if i % 2 else 1.5, "b": None}) for i in range(9)],
    "booleans": [good(i, {"a": i % 2 == 0}) for i in range(9)],
    "a number here and a word there": [good(i, {"a": "x" if i % 2 else i}) for i in range(9)],
    "features that come and go": [good(i, ONE if i % 2 else {"a": 1}) for i in range(9)],
    "models with other features": [
        good(i, {f"f{i % 3}-{j}": j for j in range(5)}, model_name=f"m{i % 3}") for i in range(9)
    ],
    "fields that nobody knows": [good(i, ONE, zz=[i]) for i in range(9)],
    "probabilities": [good(i, ONE, prediction={"probabilities": {"1": 0.4}}) for i in range(9)],
    "everything": [
        good(i, ONE, status="error", entity_id="e", duration_s=0.1, segment={"a": "b"})
        for i in range(9)
    ],
    "versions": [good(i, ONE, model_version=f"{i % 2}", model_name=f"{i % 3}") for i in range(9)],
}


@pytest.mark.parametrize("batch", TAKEN.values(), ids=TAKEN)
def test_the_plain_is_read_in_bulk(batch: list[Record]) -> None:
    assert taken(batch) == len(batch)

    both(batch)


@pytest.mark.parametrize(
    "odd",
    [
        {"features": {"a": 2**63}},
        {"features": {"a": "\0"}},
        {"zz": "\0"},
        {"model_name": "a b"},
        {"time": "1989-12-31T23:59:59Z"},
        {"time": "2027-03-01T12:00:00Z"},
        {"features": {"a": [1]}},
    ],
    ids=repr,
)
def test_an_odd_row_costs_no_other_its_place_in_bulk(odd: dict[str, Any]) -> None:
    batch = [good(i, ONE) for i in range(9)]
    batch[4] = good(4, **{"features": ONE} | odd)

    assert taken(batch) == len(batch) - 1
    both(batch)


def test_models_whose_features_differ_stand_in_blocks_of_their_own() -> None:
    batch = [
        good(i, {f"f{i % 50}-{j}": j for j in range(40)}, model_name=f"m{i % 50}")
        for i in range(1_000)
    ]

    decoded = both(batch)

    cells = [len(b) * len(b.numeric) for b in decoded.blocks if isinstance(b, PredictionBlock)]
    assert sum(cells) <= 2 * len(batch) * 40 + SLACK * len(cells)
    assert all(isinstance(block, PredictionBlock) for block in decoded.blocks)


def test_a_flood_of_names_makes_no_wide_block() -> None:
    batch = [good(i, {f"f{i}-{j}": j for j in range(400)}) for i in range(120)]

    decoded = both(batch, times=1)

    for block in decoded.blocks:
        assert isinstance(block, PredictionBlock)
        assert len(block) * len(block.numeric) <= 2 * len(block) * 400 + SLACK


def test_a_flood_of_shapes_drives_out_none_in_use() -> None:
    plain = [good(i, ONE) for i in range(9)]
    bulk = Learned()
    for n in range(12):
        flood = [good(i, {f"f{n}-{i}": i}, model_name=f"m{n}-{i}") for i in range(40)]
        batch = Records.of(plain + flood)
        taken = bulk("prediction", batch, np.arange(49), np.full(49, AT))

        assert not set(taken.left.tolist()) & set(range(9))


def test_the_last_batch_leaves_nothing_behind() -> None:
    bulk = Learned()
    first = Records.of([good(i, ONE) for i in range(3)])
    again = Records.of([good(i, {"c": 1}) for i in range(2)])

    before = decode(first, KINDS, blocks=True, bulk=bulk)
    decode(again, KINDS, blocks=True, bulk=bulk)

    assert rows_of(before) == rows_of(decode(first, KINDS))
