"""Blocks stay dense, and small ones become few, without a row being lost or changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.transport.codec.test_bulk import good, rows_of
from tests.examples import examples
from watchkeeper.daemon.transport.codec import Decoded, decode
from watchkeeper.daemon.transport.codec.bulk import Taken
from watchkeeper.daemon.transport.codec.dense import dense
from watchkeeper.daemon.transport.codec.merged import merged
from watchkeeper.daemon.transport.codec.packing import SLACK
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.blocks import Block, PredictionBlock
from watchkeeper.detectors.texts import Words
from watchkeeper.detectors.types import FloatArray, IntArray

features = st.dictionaries(
    st.sampled_from("abcdefgh"), st.one_of(st.floats(0, 1), st.sampled_from(["x", "y"])), max_size=8
)


def batch_of(rows: list[dict[str, Any]]) -> list[Record]:
    return [good(i, row, model_name=f"m{i % 3}") for i, row in enumerate(rows)]


def nothing(kind: str, records: Records, seq: IntArray, latest: FloatArray) -> Taken:
    """A fast way that leaves all to the general one."""
    return Taken([], np.arange(len(records)))


def blocks_of(rows: list[dict[str, Any]]) -> list[Block]:
    return decode(batch_of(rows), {"p": "prediction"}, blocks=True, bulk=nothing).blocks


@settings(deadline=None, max_examples=examples(100))
@given(st.lists(features, min_size=1, max_size=20))
def test_frames_blocks_and_merged_blocks_have_the_same_rows(rows: list[dict[str, Any]]) -> None:
    decoded = decode(batch_of(rows), {"p": "prediction"})

    blocks = blocks_of(rows)
    parts: list[Block] = [
        block.take(half) for block in blocks for half in (slice(0, None, 2), slice(1, None, 2))
    ]
    again = merged([part for part in parts if len(part)])

    assert rows_of(Decoded(blocks=blocks)) == rows_of(decoded)
    assert rows_of(Decoded(blocks=again)) == rows_of(decoded)
    assert len(again) == len(blocks)
    assert all((np.diff(block.seq) > 0).all() for block in blocks)


def test_a_sparse_block_is_cut_where_its_rows_differ() -> None:
    rows = [{f"f{i % 20}-{j}": 1.0 for j in range(40)} for i in range(600)]
    whole = wide(blocks_of(rows))

    parts = dense(whole)

    assert 1 < len(parts) <= 20
    for part in parts:
        assert isinstance(part, PredictionBlock)
        assert len(part) * len(part.numeric) <= 2 * 40 * len(part) + SLACK
    assert rows_of(Decoded(blocks=parts)) == rows_of(Decoded(blocks=[whole]))


def test_a_sparse_block_of_words_and_numbers_is_cut_with_both() -> None:
    rows: list[dict[str, Any]] = [
        {f"f{i}-{j}": "a" if j % 2 else 1 for j in range(200)} for i in range(60)
    ]
    whole = wide(blocks_of(rows))

    parts = dense(whole)

    assert len(parts) > 1
    assert rows_of(Decoded(blocks=parts)) == rows_of(Decoded(blocks=[whole]))


def wide(blocks: list[Block]) -> PredictionBlock:
    """All rows in one block, as wide as it takes."""
    given = [block for block in blocks if isinstance(block, PredictionBlock)]
    numeric = sorted({name for block in given for name in block.numeric})
    words = sorted({name for block in given for name in block.categorical})
    widened: list[Block] = []
    for block in given:
        none, empty = np.full(len(block), np.nan), Words.missing(len(block))
        widened.append(
            replace(
                block,
                numeric={name: block.numeric.get(name, none) for name in numeric},
                categorical={name: block.categorical.get(name, empty) for name in words},
            )
        )
    (whole,) = merged(widened)
    assert isinstance(whole, PredictionBlock)
    return whole.take(np.argsort(whole.seq))
