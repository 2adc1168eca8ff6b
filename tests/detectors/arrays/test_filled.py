"""Compiled loops sample all series as NumPy does, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.compiled import needs_kernels
from tests.detectors.arrays.examples import frame
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.sampling import Windows, sampled
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import Tally
from watchkeeper.detectors.banks import Columns
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile

pytestmark = needs_kernels
ROWS = 150  # more than are worked on at once
NUMBERS = ("value", "n", "stderr", "expected")
HISTOGRAMS = ("counts", "expected_counts", "bins")


def counted(random: np.random.Generator, schema: Schema, largest: int) -> Tally:
    """Any counts, of which most are small, and none in some rows."""
    tally = Tally(schema)
    rows = tally.claim(ROWS)
    for name, array in tally.arrays.items():
        shape = (ROWS, *array.shape[1:])
        high = random.choice([1, 2, 40, 3_000], (ROWS, *(1,) * (array.ndim - 1)))
        array[rows] = random.integers(0, high, shape)
        if name in ("sums", "losses"):
            array[rows] = random.integers(-largest, largest, shape)
    return tally


def alike(one: Sequence[Columns], other: Sequence[Columns]) -> int:
    """How many samples there are, all of them the same."""
    found = 0
    for here, there in zip(one, other, strict=True):
        assert (here.signal, here.targets) == (there.signal, there.targets)
        np.testing.assert_array_equal(here.given, there.given, strict=True)
        for name in NUMBERS:
            mine, theirs = (getattr(each, name)[here.given] for each in (here, there))
            np.testing.assert_array_equal(mine, theirs, strict=True)
        for name in HISTOGRAMS:
            mine, theirs = getattr(here, name), getattr(there, name)
            np.testing.assert_array_equal(mine, theirs)
        found += int(here.given.sum())
    return found


def profile_of(random: np.random.Generator, task: str) -> Profile | None:
    usual = frame(random, "m", 900)
    if task == "nothing":
        return None
    return learn_profile([usual], "m", "1", source="learned")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("largest", [1 << 30, 1 << 60])
@pytest.mark.parametrize("task", ["labels and scores", "nothing"])
def test_all_series_are_the_same(
    task: str, largest: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(seed)
    profile = profile_of(random, task)
    schema = Schema.of(profile)
    references, tally = References(schema), counted(random, schema, largest)
    first = 0 if profile is None else references.add(profile)
    refs = np.full(ROWS, first)
    start = random.random(ROWS)
    windows = Windows(
        random.permutation(ROWS), refs, start, start + 60.0, random.random(ROWS) < 0.5
    )

    one = sampled(tally, references, windows)
    monkeypatch.setenv("WATCHKEEPER_FAST", "0")
    other = sampled(tally, references, windows)

    assert alike(one, other) > ROWS * len(one) / 2


def test_columns_lie_side_by_side_on_a_sheet() -> None:
    random = np.random.default_rng(1)
    schema = Schema.of(profile_of(random, "labels and scores"))
    tally, references = counted(random, schema, 1 << 20), References(schema)
    refs = np.full(
        ROWS, references.add(learn_profile([frame(random, "m", 900)], "m", "1", source="learned"))
    )
    line = np.zeros(ROWS)

    found = sampled(tally, references, Windows(np.arange(ROWS), refs, line, line + 1.0, line > 0))

    assert found.sheet is not None
    beside = np.concatenate([each.value for each in found], axis=1)
    np.testing.assert_array_equal(found.sheet.value, beside)
    assert [each.signal for each in found.of("volume", "errors")] == ["errors", "volume"]
    assert [each.targets for each in found[-1:]] == [("",)]
