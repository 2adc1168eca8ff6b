"""Kept blocks come back to the last bit."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.daemon.storage.examples import labels, predictions, stored
from watchkeeper.daemon.storage import blocks, columns, snapshots
from watchkeeper.daemon.storage.snapshots import SnapshotError
from watchkeeper.detectors import gathered
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, PredictionBlock
from watchkeeper.detectors.texts import Spans, Words, texts_of

# No lone surrogates: they are refused before an event becomes a row of a block.
TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def same(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert list(a) == list(b)
        for name in a:
            same(a[name], b[name])
    elif isinstance(a, Words | Spans) or (isinstance(a, np.ndarray) and a.dtype == np.object_):
        assert texts_of(a).tolist() == texts_of(b).tolist()
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b


def equal(one: Block, other: Block) -> None:
    assert type(one) is type(other)
    for each in fields(one):
        same(getattr(one, each.name), getattr(other, each.name))


def as_objects(words: list[str | None]) -> npt.NDArray[np.object_]:
    column = np.empty(len(words), dtype=np.object_)
    column[:] = words
    return column


@st.composite
def any_predictions(draw: st.DrawFn) -> PredictionBlock:
    n = draw(st.integers(1, 30))
    floats = hnp.arrays(np.float64, n, elements=st.floats(width=64))
    texts = st.lists(TEXT, min_size=n, max_size=n).map(as_objects)
    words = texts.map(Words.of)
    keys = hnp.arrays(np.uint64, n)
    return PredictionBlock(
        members=(Member("fraud", "1"), Member("fraud", "2"), Member("churn", "1")),
        member=draw(hnp.arrays(np.int32, n, elements=st.integers(0, 2))),
        at=draw(floats),
        seq=np.arange(n, dtype=np.int64),
        key=draw(keys),
        request_id=draw(texts),
        entity_key=draw(keys),
        entity=draw(texts),
        duration_s=draw(floats),
        status=draw(hnp.arrays(np.int64, n)),
        label=draw(words),
        score=draw(floats),
        value=draw(floats),
        output_valid=draw(hnp.arrays(np.bool_, n)),
        numeric=draw(st.dictionaries(st.text(max_size=5), floats, max_size=3)),
        categorical=draw(st.dictionaries(st.text(max_size=5), words, max_size=3)),
    )


@given(any_predictions())
def test_any_block_comes_back_exactly(block: PredictionBlock) -> None:
    equal(blocks.decode(stored(block)), block)


def test_labels_come_back_exactly() -> None:
    block = LabelBlock.of(labels(n=300))

    equal(blocks.decode(stored(block)), block)


def test_sources_of_labels_come_back() -> None:
    source = as_objects(["crew", None, "vendor"])
    block = LabelBlock.of(replace(labels(n=3), source=source))

    back = blocks.decode(stored(block))

    assert isinstance(back, LabelBlock)
    assert back.source is not None
    assert back.source.texts().tolist() == source.tolist()


def test_text_in_a_buffer_comes_back_as_text() -> None:
    block = LabelBlock.of(labels(n=3))
    spans = Spans("aßc".encode(), np.array([0, 1, -1]), np.array([1, 3, 0]))

    back = blocks.decode(stored(LabelBlock(**vars_of(block) | {"request_id": spans})))

    assert texts_of(back.request_id).tolist() == ["a", "ß", None]


def test_texts_in_buffers_are_stored_as_other_texts_are() -> None:
    block = LabelBlock.of(labels(n=3))
    buffer = "xxr-ä-1yyr-2".encode()
    spans = Spans(buffer, np.array([2, -1, 10]), np.array([8, 0, 13]))
    held = replace(block, request_id=spans)
    read = replace(block, request_id=spans.texts())

    assert spans.texts().tolist() == ["r-ä-1", None, "r-2"]
    assert stored(held) == stored(read)
    assert stored(gathered.labels([held, held])) == stored(gathered.labels([read, held]))


def vars_of(block: Block) -> dict[str, Any]:
    return {each.name: getattr(block, each.name) for each in fields(block)}


@pytest.mark.parametrize("different", [3, 300, 70_000])
def test_any_number_of_words_comes_back(different: int) -> None:
    words = as_objects([f"w{i % different}" for i in range(different + 1)])
    n = len(words)
    block = LabelBlock(
        models=("m",),
        model=np.zeros(n, dtype=np.int32),
        at=np.zeros(n),
        seq=np.arange(n, dtype=np.int64),
        key=np.ones(n, dtype=np.uint64),
        request_id=words,
        label=Words.of(words),
        value=np.zeros(n),
    )

    equal(blocks.decode(stored(block)), block)


def test_a_column_in_which_nothing_is_given_takes_no_room() -> None:
    block = PredictionBlock.of(predictions(n=1_000))
    bare = PredictionBlock(
        **vars_of(block)
        | {"numeric": {}, "categorical": {}, "request_id": as_objects([None] * 1_000)}
    )

    assert len(stored(bare)) < 0.6 * len(stored(block))


@given(st.binary(max_size=200))
def test_bytes_from_elsewhere_are_refused(blob: bytes) -> None:
    with pytest.raises(SnapshotError):
        blocks.decode(blob)


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    """Unless it only makes the layout one of those before, as which it can be read as well."""
    blob = bytearray(stored(PredictionBlock.of(predictions())))
    whole = bytes(blob)
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))

    if snapshots.layout_of(bytes(blob)) in (1, 2):
        equal(blocks.decode(bytes(blob)), blocks.decode(whole))
        return
    with pytest.raises(SnapshotError):
        blocks.decode(bytes(blob))


def test_a_text_column_with_something_else_is_refused() -> None:
    block = LabelBlock.of(labels(n=2))
    block.request_id[0] = 3  # type: ignore[index]

    with pytest.raises(TypeError, match="something else"):
        stored(block)


@pytest.mark.parametrize("layout", [1, 2])
def test_blocks_of_layouts_before_are_read(layout: int) -> None:
    block = PredictionBlock.of(predictions(n=50))
    packed = blocks.pack(block).stored
    plain = msgspec.to_builtins(packed, builtin_types=(bytes, memoryview))
    if layout == 1:
        plain["columns"]["at"] = msgspec.to_builtins(
            columns.numbers(block.at), builtin_types=(bytes, memoryview)
        )
        for name in ("columns", "numeric", "categorical"):
            plain[name] = {key: column[:3] for key, column in plain[name].items()}
    assert all(len(column) == (3 if layout == 1 else 4) for column in plain["columns"].values())

    blob = snapshots.seal(msgspec.msgpack.encode(plain), layout)

    equal(blocks.decode(blob), blocks.decode(stored(block)))


def test_a_block_is_told_of_without_reading_it() -> None:
    block = PredictionBlock.of(predictions(n=50))

    packed = blocks.pack(block)

    assert (len(packed), packed.is_labels, packed.counts) == (50, False, {"fraud": 50})
    assert (packed.from_at, packed.to_at) == (block.at.min(), block.at.max())
    equal(packed.block, blocks.decode(stored(block)))
