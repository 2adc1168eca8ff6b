"""Kept frames come back to the last bit."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.daemon.storage.examples import T0, labels, predictions
from watchkeeper.daemon.storage import frames
from watchkeeper.daemon.storage.snapshots import SnapshotError
from watchkeeper.daemon.storage.values import CapturedFrame
from watchkeeper.detectors.types import LabelFrame, PredictionFrame

# No lone surrogates: they are refused before an event becomes a frame.
TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> None:
    assert a.dtype == b.dtype
    if a.dtype == np.object_:
        assert a.tolist() == b.tolist()
    else:
        assert a.tobytes() == b.tobytes()


def equal(one: CapturedFrame, other: CapturedFrame) -> None:
    assert type(one) is type(other)
    for each in fields(one):
        a, b = getattr(one, each.name), getattr(other, each.name)
        if isinstance(a, str):
            assert a == b
        elif isinstance(a, dict):
            assert list(a) == list(b)
            for name in a:
                same(a[name], b[name])
        else:
            same(a, b)


@st.composite
def any_predictions(draw: st.DrawFn) -> PredictionFrame:
    n = draw(st.integers(0, 30))
    floats = hnp.arrays(np.float64, n, elements=st.floats(width=64))
    words = st.lists(TEXT, min_size=n, max_size=n).map(as_objects)
    codes = hnp.arrays(np.int64, n)
    return PredictionFrame(
        model=draw(st.text(min_size=1, max_size=9)),
        at=draw(floats),
        seq=draw(codes),
        version="2",
        request_id=draw(words),
        entity=draw(words),
        duration_s=draw(floats),
        status=draw(codes),
        label=draw(words),
        score=draw(floats),
        value=draw(floats),
        output_valid=draw(hnp.arrays(np.bool_, n)),
        numeric=draw(st.dictionaries(st.text(max_size=5), floats, max_size=3)),
        categorical=draw(st.dictionaries(st.text(max_size=5), words, max_size=3)),
    )


def as_objects(words: list[str | None]) -> npt.NDArray[np.object_]:
    column = np.empty(len(words), dtype=np.object_)
    column[:] = words
    return column


@given(any_predictions())
def test_any_frame_comes_back_exactly(frame: PredictionFrame) -> None:
    equal(frames.decode(frames.encode(frame)), frame)


def test_labels_come_back_exactly() -> None:
    frame = labels(n=300)

    back = frames.decode(frames.encode(frame))

    assert isinstance(back, LabelFrame)
    equal(back, frame)


@pytest.mark.parametrize("different", [3, 300, 70_000])
def test_any_number_of_words_comes_back(different: int) -> None:
    words = as_objects([f"w{i % different}" for i in range(different + 1)])
    n = len(words)
    frame = LabelFrame("m", np.zeros(n), np.zeros(n, dtype=np.int64), words, words, np.zeros(n))

    equal(frames.decode(frames.encode(frame)), frame)


@given(st.binary(max_size=200))
def test_bytes_from_elsewhere_are_refused(blob: bytes) -> None:
    with pytest.raises(SnapshotError):
        frames.decode(blob)


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    blob = bytearray(frames.encode(predictions()))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(SnapshotError):
        frames.decode(bytes(blob))


def test_a_text_column_with_something_else_is_refused() -> None:
    frame = labels(n=2)
    frame.label[0] = 3

    with pytest.raises(TypeError, match="holds int"):
        frames.encode(frame)


def test_a_typical_frame_is_small() -> None:
    random = np.random.default_rng(7)
    n = 5_000
    frame = predictions(n=n, at=T0)
    features = {f"f{i}": random.normal(size=n).round(2) for i in range(10)}
    columns = {each.name: getattr(frame, each.name) for each in fields(frame)}
    frame = PredictionFrame(**{**columns, "numeric": features})

    size = len(frames.encode(frame))

    assert size < 60 * n  # 17 columns of 8 bytes and a request id are 150 bytes a row
