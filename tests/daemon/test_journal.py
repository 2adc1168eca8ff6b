"""What is stored for label joins gives back the same joins, and holds no more than they need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.bench.traffic import pairs
from tests.compiled import needs_kernels
from watchkeeper.daemon import journal
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.journal import Journal
from watchkeeper.daemon.storage.columns import MISSING
from watchkeeper.daemon.storage.growing import Growing
from watchkeeper.daemon.transport.codec import bulk, decode
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors import fast
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, PredictionBlock
from watchkeeper.detectors.texts import Spans, Words
from watchkeeper.detectors.types import EventKind

CAPACITY = 50


def policy(name: str) -> ModelPolicy:
    del name
    return ModelPolicy(join_capacity=CAPACITY)


def made(models: list[str], keys: Any, label: str = "yes") -> PredictionBlock:
    """Predictions of these models in turn."""
    keys = np.asarray(keys, dtype=np.uint64)
    n, no = len(keys), Spans.nothing(len(keys))
    zero = np.zeros(n, dtype=np.int64)
    return PredictionBlock(
        members=tuple(Member(model, "1") for model in models),
        member=(np.arange(n) % len(models)).astype(np.int32),
        at=keys.astype(np.float64),
        seq=zero,
        key=keys,
        request_id=no,
        entity_key=zero.astype(np.uint64),
        entity=no,
        duration_s=np.full(n, 0.5),
        status=zero,
        label=Words(zero.astype(np.int32), (label,)),
        score=keys / 1e6,
        value=np.full(n, np.nan),
        output_valid=np.ones(n, dtype=np.bool_),
        numeric={"x": np.ones(n)},
        categorical={},
    )


def told(models: list[str], keys: Any) -> LabelBlock:
    """Truths about them."""
    keys = np.asarray(keys, dtype=np.uint64)
    zero = np.zeros(len(keys), dtype=np.int64)
    return LabelBlock(
        models=tuple(models),
        model=(np.arange(len(keys)) % len(models)).astype(np.int32),
        at=keys + 0.5,
        seq=zero,
        key=keys,
        request_id=Spans.nothing(len(keys)),
        label=Words(zero.astype(np.int32), ("no",)),
        value=np.full(len(keys), np.nan),
    )


def published(n: int) -> list[Block]:
    """Events and their labels as they are decoded from a topic."""
    found: list[Block] = []
    for topic, values in zip(("prediction", "label"), zip(*pairs(n, 1), strict=True), strict=True):
        place, offset = np.zeros(n, dtype=np.int32), np.arange(n, dtype=np.int64)
        records = Records((Partition(topic, 0),), place, offset, np.full(n, 1.8e9), list(values))
        kinds: dict[str, EventKind] = {"prediction": "prediction", "label": "label"}
        found += decode(records, kinds, now=1.9e9, blocks=True).blocks
    return found


def held(kept: object) -> int:
    """Bytes of numbers that what is kept of events keeps in memory, but for room that is left."""
    if isinstance(kept, Growing):
        return kept.all.nbytes
    parts = kept if isinstance(kept, list) else getattr(kept, "__dict__", {}).values()
    return sum(map(held, parts))


@pytest.mark.parametrize("kernels", [pytest.param(True, marks=needs_kernels), False])
def test_of_an_event_nothing_else_stays_in_memory(kernels: bool) -> None:
    if not kernels:
        fast.put_off()
    bulk.BULK.choose_again()
    kept = Journal()

    try:
        blocks = published(2_000)
    finally:
        fast.take_up()
        bulk.BULK.choose_again()
    for each in blocks:
        kept.add(each)

    rows = sum(map(len, blocks))
    assert rows == 4_000
    assert 13 * rows < held(kept) <= 15 * rows  # a time, a key, a label, and mostly a score


def stored(kept: Journal, state: State) -> list[Block]:
    return [each.block for stretch in kept.needed(state.reach) for each in stretch.packed()]


def turns(n: int, models: list[str], late: int) -> Iterator[Block]:
    """Ten predictions a turn, whose labels come so many turns later."""
    for turn in range(n):
        yield made(models, np.arange(10 * turn, 10 * turn + 10) + 1)
        if turn >= late:
            first = 10 * (turn - late) + 1
            yield told(models, np.arange(first, first + 10))


def joins_of(blocks: list[Block], models: list[str]) -> list[tuple[np.ndarray[Any, Any], ...]]:
    """What is known of each model's predictions once these blocks were taken in again."""
    state = State(policy)
    for model in models:
        state.model(model)
    state.rejoin(blocks, set(models))
    found: list[tuple[np.ndarray[Any, Any], ...]] = []
    for model in models:
        state.arrays.joins.sweep()
        found.append(state.arrays.joins.held.waits(state.models[model].row, 1e9))
    return found


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_ROWS", 40)


@pytest.mark.parametrize("models", [["a"], ["a", "b"]])
@pytest.mark.parametrize("late", [0, 1, 3])
def test_less_is_stored_than_came_and_the_joins_are_the_same(models: list[str], late: int) -> None:
    kept, came = Journal(), list(turns(200, models, late))
    for block in came:
        kept.add(block)

    blocks = stored(kept, State(policy))

    assert sum(map(len, blocks)) < 0.4 * sum(map(len, came))
    whole = joins_of(came, models)
    for found, wanted in zip(joins_of(blocks, models), whole, strict=True):
        np.testing.assert_array_equal(found[0], wanted[0])
        np.testing.assert_array_equal(found[1], wanted[1])
    assert len(whole[0][0]) == CAPACITY


def test_labels_are_kept_as_long_as_their_predictions_however_many_others_come() -> None:
    kept, models = Journal(), ["a"]
    kept.add(made(models, np.arange(1, 51)))
    kept.add(told(models, np.arange(1, 51)))
    for turn in range(50):
        kept.add(told(models, np.arange(1_000 + 40 * turn, 1_040 + 40 * turn)))

    _, took = joins_of(stored(kept, State(policy)), models)[0]

    assert len(took) == CAPACITY
    assert not np.isnan(took).any()


def test_a_quiet_model_keeps_what_it_has_beside_a_busy_one() -> None:
    kept, models = Journal(), ["quiet", "busy"]
    kept.add(made(["quiet"], np.arange(1, 6)))
    for block in turns(200, ["busy"], 0):
        kept.add(block)

    blocks = stored(kept, State(policy))

    quiet = joins_of(blocks, models)[0]
    assert len(quiet[0]) == 5
    assert sum(map(len, blocks)) < 1_000


def test_nothing_is_left_out_while_a_join_reaches_back_to_it() -> None:
    kept, came = Journal(), list(turns(20, ["a", "b"], 1))
    for block in came:
        kept.add(block)

    assert sum(map(len, stored(kept, State(policy)))) == sum(map(len, came))


def test_a_row_of_the_table_stays_small_however_many_models_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "_MOST_ROWS", 600)
    kept, models = Journal(), [f"m{i}" for i in range(100)]
    for turn in range(20):
        kept.add(made(models, np.arange(100) + 100 * turn + 1))

    blocks = stored(kept, State(policy))

    assert [*map(len, blocks)] == [600, 600, 600, 200]


def test_what_joins_do_not_need_is_let_go_of() -> None:
    kept = Journal()
    kept.add(made(["a"], np.arange(1, 31)))

    ((packed,),) = [list(stretch.packed()) for stretch in kept.needed(State(policy).reach)]

    assert isinstance(packed.block, PredictionBlock)
    assert not packed.block.numeric
    assert np.isnan(packed.block.duration_s).all()
    assert packed.stored.columns["value"].form == MISSING
