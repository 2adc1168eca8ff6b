"""Which inputs repeat others, by a sample that is the same however events are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detectors.signals.frames import WINDOW, predictions
from tests.detectors.signals.test_exactness import odd_predictions
from tests.examples import examples
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.signals._repeated import INPUTS, MOST
from watchkeeper.detectors.signals.duplicates import ANSWERED, REPEATED, UNKNOWN, Duplicates
from watchkeeper.detectors.types import Partial, PredictionFrame

DUPLICATES = Duplicates()


def sketched(*frames: PredictionFrame) -> Partial:
    whole = part_of("duplicates")
    for frame in frames:
        whole.merge(DUPLICATES.sketch(PredictionBlock.of(frame)))
    return whole


def shares(part: Partial) -> dict[str, tuple[float, int]]:
    found = DUPLICATES.samples(part, None, "m", "1", WINDOW)
    return {s.series.target: (s.value, s.n) for s in found}


def test_the_share_of_inputs_that_repeat_others() -> None:
    rng = np.random.default_rng(1)
    amount = rng.normal(size=100)
    amount[76:] = amount[:24]
    country = ["DE", "FR", "US", "IT"] * 25
    frame = predictions(100, numeric={"amount": amount}, categorical={"country": country})

    assert shares(sketched(frame)) == {"inputs": (0.24, 100)}
    assert shares(sketched(frame, frame)) == {"inputs": (0.62, 200)}


def test_an_input_is_all_of_its_features() -> None:
    same = {"a": [1.0, 1.0, 1.0, 1.0], "b": [0.0, -0.0, 2.0, float("nan")]}
    words = {"c": ["x", "x", "x", "x"]}

    found = sketched(predictions(4, numeric=same, categorical=words))

    assert shares(found) == {"inputs": (0.25, 4)}


def test_more_inputs_than_are_kept_are_estimated() -> None:
    rng = np.random.default_rng(2)
    once = rng.normal(size=20_000)
    frame = predictions(25_000, numeric={"a": np.append(once, once[:5_000])})

    ((value, n),) = shares(sketched(frame)).values()

    assert MOST <= n < 1.5 * MOST
    assert value == pytest.approx(0.2, abs=0.05)


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 2**32 - 1), st.sets(st.integers(0, 3_000)), st.randoms())
def test_cut_and_order_of_merging_do_not_matter(seed: int, cuts: set[int], order: Any) -> None:
    rng = np.random.default_rng(seed)
    frame = odd_predictions(rng, 3_000).take(rng.integers(0, 3_000, 3_000))
    parts = [frame.take(rows) for rows in np.split(np.arange(3_000), sorted(cuts))]
    order.shuffle(parts)

    whole, pieces = sketched(frame), sketched(*parts)

    assert len(whole[INPUTS]) <= MOST
    np.testing.assert_array_equal(pieces[INPUTS], whole[INPUTS], strict=True)


def test_requests_that_came_twice_are_a_share_of_all() -> None:
    part = Partial({ANSWERED: np.array([90]), REPEATED: np.array([10])})

    assert shares(part) == {"requests": (0.1, 100)}
    assert shares(Partial({ANSWERED: np.array([90])})) == {"requests": (0.0, 90)}
    assert shares(Partial()) == {}


def test_requests_that_nobody_knows_of_are_in_no_share() -> None:
    part = Partial({n: np.array([k]) for n, k in ((ANSWERED, 95), (REPEATED, 5), (UNKNOWN, 75))})

    assert shares(part) == {"requests": (0.2, 25)}
    assert shares(Partial({ANSWERED: np.array([9]), UNKNOWN: np.array([9])})) == {}
