"""Small frames are put together as they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest

from tests.detectors.signals.frames import predictions
from tests.playbook import labels as truths
from watchkeeper.detectors.blocks import LabelBlock
from watchkeeper.detectors.frames import PredictionFrame
from watchkeeper.detectors.gathered import add_frame, labels, merged_codes, one_frame
from watchkeeper.detectors.roster import Roster
from watchkeeper.detectors.texts import Spans, Words


def row(i: int) -> PredictionFrame:
    numeric = {"amount": [float(i)]} if i % 3 else {"age": [i / 7]}
    return predictions(
        1, at=[float(i)], label=["yes"], numeric=numeric, categorical={"town": [f"t{i % 5}"]}
    )


def test_rows_that_come_one_by_one_are_a_few_frames_and_all_there() -> None:
    rows, frames = [row(i) for i in range(1_000)], list[PredictionFrame]()
    most = 0
    for each in rows:
        add_frame(frames, each)
        most = max(most, len(frames))

    assert most < 60
    assert alike(one_frame(frames), one_frame(rows))


def test_large_frames_stay_as_they_are() -> None:
    frames: list[PredictionFrame] = []
    large = [predictions(100) for _ in range(40)]
    for each in large:
        add_frame(frames, each)

    assert [*map(id, frames)] == [*map(id, large)]


def test_rows_of_which_each_has_other_features_are_not_put_together_with_holes() -> None:
    frames: list[PredictionFrame] = []
    for i in range(400):
        add_frame(frames, predictions(1, numeric={f"f{i}-{k}": [1.0] for k in range(100)}))

    cells = sum(len(frame) * len(frame.numeric) for frame in frames)
    assert sum(map(len, frames)) == 400
    assert len(frames) < 100
    assert cells < 40 * 400 * 100


def test_what_a_frame_lacks_is_missing_in_its_rows() -> None:
    both = one_frame([row(0), row(1)])

    np.testing.assert_array_equal(both.numeric["age"], [0.0, np.nan])
    np.testing.assert_array_equal(both.numeric["amount"], [np.nan, 1.0])
    assert both.categorical["town"].tolist() == ["t0", "t1"]


def alike(one: PredictionFrame, other: PredictionFrame) -> bool:
    for each in fields(PredictionFrame):
        mine, theirs = getattr(one, each.name), getattr(other, each.name)
        if isinstance(mine, dict):
            assert mine.keys() == theirs.keys()
            for name in mine:
                np.testing.assert_array_equal(mine[name], theirs[name])
        else:
            np.testing.assert_array_equal(mine, theirs)
    return True


def test_labels_whose_source_is_named_are_joined_with_others() -> None:
    none = LabelBlock.of(truths([(0.0, "r1", "yes"), (1.0, "r2", "no")], 0))
    named = replace(none, source=Words.of(["crew", None]))

    assert labels([none, none]).source is None
    both = labels([none, named]).source
    assert both is not None
    assert both.texts().tolist() == [None, None, "crew", None]


@pytest.mark.parametrize("n", [3, 200])  # texts are copied one by one, or all at once
def test_texts_of_several_buffers_come_to_stand_in_one(n: int) -> None:
    given = [[f"{name}{i}é" if i % 4 else None for i in range(n)] for name in "ab"]
    blocks = [replace(truth(n), request_id=spans(texts)) for texts in given]

    both = labels(blocks).request_id

    assert isinstance(both, Spans)
    assert both.texts().tolist() == [*given[0], *given[1]]
    assert both.buffer == "".join(text for texts in given for text in texts if text).encode()


@pytest.mark.parametrize("numbered", [True, False])
def test_codes_into_several_lists_are_codes_into_one(numbered: bool) -> None:
    roster = Roster[str]()
    for name in "abcd":
        roster.add(name)
    lists = [np.array(numbers, dtype=np.int64) for numbers in ([3, 1], [], [1, 0, 3])]
    names = [roster.of(each) if numbered else tuple(roster.of(each)) for each in lists]
    codes = [np.array(each, dtype=np.int32) for each in ([1, -1, 0], [-1], [2, 1, 0])]

    merged, code = merged_codes(list(zip(names, codes, strict=True)))

    assert merged == ("d", "b", "a")
    assert code.tolist() == [1, -1, 0, -1, 0, 2, 1]
    assert code.dtype == np.int32


def truth(n: int) -> LabelBlock:
    return LabelBlock.of(truths([(float(i), f"r{i}", "yes") for i in range(n)], 0))


def spans(texts: Sequence[str | None]) -> Spans:
    """The texts with something before and behind each."""
    buffer, start, end = b"<", [], []
    for text in texts:
        start.append(-1 if text is None else len(buffer))
        buffer += (text or "").encode()
        end.append(-1 if text is None else len(buffer))
        buffer += b"><"
    return Spans(buffer, np.array(start), np.array(end))


@pytest.mark.parametrize("n", [3, 200])
@pytest.mark.parametrize("missing", [False, True])
def test_texts_that_stand_alone_are_not_copied_again(n: int, missing: bool) -> None:
    texts = [None if missing and i % 5 == 2 else f"text {i}" * (i % 3) for i in range(n)]
    scattered = spans(texts)

    alone = scattered.packed()

    assert alone.texts().tolist() == texts
    assert alone.buffer == alone.data() == scattered.data() == "".join(filter(None, texts)).encode()
    assert missing or alone.packed() is alone
    parted = alone.take(np.arange(0, n, 2))
    assert parted.packed().texts().tolist() == texts[::2]
    chosen, none = scattered.alone(np.arange(0, n, 2)), spans([None] * n).alone(np.arange(n))
    assert chosen.texts().tolist() == texts[::2]
    assert chosen.buffer == chosen.data() == "".join(filter(None, texts[::2])).encode()
    assert (none.buffer, none.texts().tolist()) == (b"", [None] * n)
    assert alone.take(np.arange(n)[::-1]).data() == "".join(filter(None, texts[::-1])).encode()
