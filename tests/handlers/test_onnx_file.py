"""What a model file may look like from outside."""

from __future__ import annotations

import contextlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.handlers import models
from watchkeeper.handlers.onnx_file import BadModel, check


def test_a_model_passes() -> None:
    check(models.identity())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a model at all",
        pickle.dumps({"a": 1}),
        models.identity() + pickle.dumps({"a": 1}),
        models.identity() + b"\x00",
        models.identity()[:-3],
        b"\x80" * 64,
        models.external("weights.bin"),
        models.external("../../etc/passwd"),
        models.external("/dev/zero"),
    ],
    ids=[
        "empty",
        "text",
        "pickle",
        "trailing pickle",
        "trailing zero",
        "truncated",
        "endless number",
        "external",
        "external above",
        "external device",
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(BadModel):
        check(data)


@given(st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_a_refusal(data: bytes) -> None:
    with contextlib.suppress(BadModel):
        check(data)


@given(cut=st.integers(0, 10_000))
def test_no_beginning_of_a_model_passes_for_one_without_its_graph(cut: int) -> None:
    whole = models.identity()
    part = whole[: cut % len(whole)]

    try:
        check(part)
    except BadModel:
        return
    assert models.identity_graph() in part
