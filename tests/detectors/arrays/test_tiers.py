"""Tallies of few and of many events are the same to whoever reads them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detectors.arrays.examples import block, frame, profile
from watchkeeper.detectors.arrays.absorb import absorb_predictions
from watchkeeper.detectors.arrays.few import FEW, Few
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import Tally
from watchkeeper.detectors.arrays.tiers import Tiers
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.profile import Profile


def counted(tiers: Tiers, row: int, against: Profile, seen: PredictionBlock) -> None:
    references = References(tiers.schema)
    ref, zeros = references.add(against), np.zeros(len(seen), dtype=np.int64)
    tally, place = tiers.at(row)
    absorb_predictions(tally, references, zeros + place, zeros + ref, seen)


def example(n: int) -> tuple[Tiers, Profile, PredictionBlock]:
    random = np.random.default_rng(n)
    against = profile(random, "m")
    return Tiers(Schema.of(against)), against, block([frame(random, "m", n)], random)


def test_small_integers_hold_as_many_events_as_they_say() -> None:
    tiers, against, seen = example(FEW)
    small, large = tiers.claim_one(), tiers.claim_one(large=True)

    counted(tiers, small, against, seen)
    counted(tiers, large, against, seen)

    rows = np.array([small, large, small])
    for name in tiers.large.arrays:
        one, other, again = tiers.counted(name, rows)
        assert one.tolist() == other.tolist() == again.tolist()
        assert one.dtype == tiers.counted(name, rows[:1]).dtype == other.dtype


def test_a_row_is_widened_without_a_change() -> None:
    tiers, against, seen = example(FEW)
    row = tiers.claim_one()
    counted(tiers, row, against, seen)
    before = tiers.dump(np.array([row]))

    wide = tiers.widen(row)

    assert wide < 0 <= row
    assert tiers.dump(np.array([wide])) == before
    assert len(tiers) == 1


@pytest.mark.parametrize("n", [0, 1, FEW, 300, 70_000])
def test_a_row_survives_its_bytes(n: int) -> None:
    tiers, against, seen = example(max(n, 1))
    rows = [tiers.claim_one(large=n > FEW) for _ in range(3)]
    if n:
        counted(tiers, rows[1], against, seen)
    stored = tiers.dump(np.array(rows))

    read = [tiers.load(each) for each in stored]

    assert tiers.dump(np.array(read)) == stored
    assert stored[0] == stored[2]
    assert (stored[1] == stored[0]) == (n == 0)


def test_bytes_of_another_schema_are_refused() -> None:
    tiers, against, seen = example(50)
    row = tiers.claim_one()
    counted(tiers, row, against, seen)
    (stored,) = tiers.dump(np.array([row]))

    for wrong in (b"", stored[:-1], stored + b"\0", stored[:4] + b"\x03" + stored[5:]):
        with pytest.raises(ValueError, match="counts"):
            tiers.load(wrong)
    with pytest.raises(ValueError, match="counts"):
        Tiers(Schema()).load(stored)
    assert len(tiers) == 1


def test_a_tally_of_few_events_takes_a_third_of_the_memory() -> None:
    schema = example(1)[0].schema
    few, many = Few(schema), Tally(schema)
    few.claim(100)
    many.claim(100)

    assert few.nbytes < many.nbytes / 3
