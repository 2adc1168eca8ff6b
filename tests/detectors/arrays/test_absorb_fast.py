"""The compiled loops leave the same integers in the tallies as NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.compiled import needs_kernels
from tests.detectors.arrays.examples import block, frame, profile
from watchkeeper.detectors.arrays import absorb_fast
from watchkeeper.detectors.arrays.absorb import Pairs, absorb_pairs, absorb_predictions
from watchkeeper.detectors.arrays.few import Few
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import Tally
from watchkeeper.detectors.blocks import PredictionBlock

pytestmark = needs_kernels

ODD_NUMBERS = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 50.0, 65_536.5)


def assert_equal(one: Tally, other: Tally) -> None:
    if isinstance(one, Few) and isinstance(other, Few):
        for name, table in one.singles.items():
            rows = np.arange(table.shape[1])
            assert one.counted(name, rows).tolist() == other.counted(name, rows).tolist()
            assert table.dtype == other.singles[name].dtype
    for name, array in one.arrays.items():
        assert array.tolist() == other.arrays[name].tolist(), name
        assert array.dtype == other.arrays[name].dtype


def spoilt(whole: PredictionBlock, random: np.random.Generator) -> PredictionBlock:
    """The block with numbers of every kind, on edges of bins too."""

    def odd(column: np.ndarray) -> np.ndarray:
        chosen = random.random(len(column)) < 0.2
        return np.where(chosen, random.choice(ODD_NUMBERS, len(column)), column)

    numeric = {name: odd(column) for name, column in whole.numeric.items()}
    return replace(
        whole,
        numeric=numeric,
        score=odd(whole.score),
        value=odd(whole.value),
        duration_s=odd(whole.duration_s),
    )


@pytest.mark.parametrize(
    ("models", "each", "kind"),
    [(1, 500, Tally), (3, 300, Tally), (60, 9, Tally), (1, 255, Few), (60, 9, Few)],
)
@pytest.mark.parametrize("shift", [0.0, 30.0])
@pytest.mark.parametrize("fine", [False, True])
def test_predictions_are_counted_alike(
    models: int, each: int, kind: Callable[[Schema], Tally], shift: float, fine: bool
) -> None:
    random = np.random.default_rng(models)
    profiles = [profile(random, f"m{i}") for i in range(models)]
    schema = Schema.of(profiles[0])
    references, one, other = References(schema), kind(schema), kind(schema)
    refs = np.array([references.add(p) for p in profiles])
    slots, _ = one.claim(models)[::-1].copy(), other.claim(models)
    frames = [frame(random, f"m{i}", each, shift) for i in range(models)]
    whole = spoilt(block(frames, random), random)
    if fine:
        references.retype("edges", np.float64)
    edges = references.arrays["edges"]
    whole.numeric["amount"][: edges.shape[2]] = edges[0, 0, : len(whole)]

    given = references, slots[whole.member], refs[whole.member], whole
    absorb_predictions(one, *given)
    absorb_fast.absorb_predictions(other, *given)

    assert one.arrays["head"][:, 0].sum() == len(whole)
    assert_equal(one, other)


@pytest.mark.parametrize("left_out", ["amount", "country"])
def test_a_column_that_no_row_has_is_missing_in_all(left_out: str) -> None:
    random = np.random.default_rng(5)
    against = profile(random, "m")
    references = References(Schema.of(against))
    ref, n = references.add(against), 80
    whole = block([frame(random, "m", n)], random)
    new = {"never seen before": np.where(random.random(n) < 0.5, np.nan, 1.0)}
    whole = replace(
        whole,
        numeric={k: v for k, v in whole.numeric.items() if k != left_out} | new,
        categorical={k: v for k, v in whole.categorical.items() if k != left_out},
    )
    one, other = Tally(references.schema), Tally(references.schema)
    row, _ = one.claim(1), other.claim(1)
    given = references, np.repeat(row, n), np.full(n, ref), whole

    absorb_predictions(one, *given)
    absorb_fast.absorb_predictions(other, *given)

    assert_equal(one, other)


@pytest.mark.parametrize(
    "schema",
    [
        Schema(),
        Schema(profiled=True, task="binary", score=False),
        Schema(profiled=True, task="regression"),
        Schema(profiled=True, classes=("no", "yes")),
        Schema(profiled=True, classes=("no", "yes"), positive="yes"),
        Schema(profiled=True, classes=("no", "yes"), positive="never said"),
    ],
    ids=["none", "binary", "regression", "classes", "positive", "other"],
)
def test_answers_are_counted_alike_by_every_schema(schema: Schema) -> None:
    random = np.random.default_rng(6)
    references, one, other = References(schema), Tally(schema), Tally(schema)
    ref = references.claim(1)
    row, _ = one.claim(2)[1:], other.claim(2)
    whole = spoilt(block([frame(random, "m", 120)], random), random)
    given = references, np.repeat(row, 120), np.repeat(ref, 120), whole

    absorb_predictions(one, *given)
    absorb_fast.absorb_predictions(other, *given)

    assert_equal(one, other)


@pytest.mark.parametrize(("n", "kind"), [(5_000, Tally), (255, Few)])
def test_pairs_are_counted_alike(n: int, kind: Callable[[Schema], Tally]) -> None:
    random = np.random.default_rng(7)
    schema = Schema()
    one, other = kind(schema), kind(schema)
    slots, _ = one.claim(9), other.claim(9)
    keys = np.array([0, 11, 12, 13], dtype=np.uint64)
    scores = np.array([*ODD_NUMBERS, 0.1, 0.5, 0.9, 1.0, 1.2, -0.1, 1e-30])
    score = np.where(random.random(n) < 0.5, random.random(n), random.choice(scores, n))
    said, truth, positive = (random.choice(keys, n) for _ in range(3))
    pairs = Pairs(said, truth, positive, score)
    slot = random.choice(slots, n)

    absorb_pairs(one, slot, pairs)
    absorb_fast.absorb_pairs(other, slot, pairs)

    assert_equal(one, other)


def test_columns_that_must_not_be_written_are_taken() -> None:
    random = np.random.default_rng(8)
    whole = block([frame(random, "m", 20)], random)
    for column in (whole.status, whole.output_valid, whole.duration_s, whole.entity_key):
        column.flags.writeable = False
    one, other = Tally(Schema()), Tally(Schema())
    row, _ = one.claim(1), other.claim(1)
    given = References(Schema()), np.repeat(row, 20), np.zeros(20, dtype=np.int64), whole

    absorb_predictions(one, *given)
    absorb_fast.absorb_predictions(other, *given)

    assert_equal(one, other)
