"""Blocks stay dense, and small ones become few, without a row being lost or changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.transport.codec.test_bulk import good, rows_of
from watchkeeper.daemon.transport.codec import Decoded, decode
from watchkeeper.daemon.transport.codec.dense import SLACK, blocks_of, dense
from watchkeeper.daemon.transport.codec.merged import merged
from watchkeeper.detectors.blocks import Block, PredictionBlock

features = st.dictionaries(
    st.sampled_from("abcdefgh"), st.one_of(st.floats(0, 1), st.sampled_from(["x", "y"])), max_size=8
)


def frames_of(rows: list[dict[str, Any]]) -> Decoded:
    return decode(
        [good(i, row, model_name=f"m{i % 3}") for i, row in enumerate(rows)], {"p": "prediction"}
    )


@settings(deadline=None, max_examples=100)
@given(st.lists(features, min_size=1, max_size=20))
def test_frames_blocks_and_merged_blocks_have_the_same_rows(rows: list[dict[str, Any]]) -> None:
    decoded = frames_of(rows)

    blocks = blocks_of(decoded.frames)
    parts: list[Block] = [
        block.take(half) for block in blocks for half in (slice(0, None, 2), slice(1, None, 2))
    ]
    again = merged([part for part in parts if len(part)])

    assert rows_of(Decoded(blocks=blocks)) == rows_of(decoded)
    assert rows_of(Decoded(blocks=again)) == rows_of(decoded)
    assert len(again) == len(blocks)
    assert all((np.diff(block.seq) > 0).all() for block in blocks)


def test_a_sparse_block_is_cut_where_its_rows_differ() -> None:
    sparse = frames_of([{f"f{i % 20}-{j}": 1.0 for j in range(40)} for i in range(600)])
    (whole,) = merged([_widened(sparse)])
    assert isinstance(whole, PredictionBlock)

    parts = dense(whole)

    assert 1 < len(parts) <= 20
    for part in parts:
        assert isinstance(part, PredictionBlock)
        assert len(part) * len(part.numeric) <= 2 * 40 * len(part) + SLACK
    assert rows_of(Decoded(blocks=parts)) == rows_of(sparse)


def _widened(decoded: Decoded) -> PredictionBlock:
    """All rows in one block, as wide as it takes."""
    from watchkeeper.daemon.transport.codec import dense as module

    frames: Any = decoded.frames
    block: PredictionBlock = module._predictions(frames)
    return block
