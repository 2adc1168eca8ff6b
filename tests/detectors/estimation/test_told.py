"""Opinions as samples and findings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.detectors.estimation.made import drawn, stretches
from watchkeeper.detectors.estimation.bins import SAID_FROM_HALF, score_counts, truth_counts
from watchkeeper.detectors.estimation.classified import MEASURES
from watchkeeper.detectors.estimation.kinds import Binary
from watchkeeper.detectors.estimation.learned import Learned, learned
from watchkeeper.detectors.estimation.performance import Opinion, Performance
from watchkeeper.detectors.estimation.told import findings, labelled, samples
from watchkeeper.detectors.types import FloatArray, Severity

KNOWN = stretches(1, 20)
WIDTH = 60.0


@pytest.fixture(scope="module")
def taught() -> Learned:
    return learned(Binary(), KNOWN, np.repeat(SAID_FROM_HALF[None], len(KNOWN), axis=0))


def opinion(taught: Learned, bent: float) -> Opinion:
    """Of a stretch of one window whose labels are all there."""
    watch = Performance(Binary(), taught, 3_600.0)
    scores, truths = drawn(7, 2_000, bent)
    watch.scored(0.0, WIDTH, score_counts(scores), int((scores >= 0.5).sum()))
    made = np.linspace(0.0, WIDTH, 2_000, endpoint=False)
    for each in labelled(made, made + 1.0, scores, truths, WIDTH):
        watch.labelled(*each)
    (found,) = watch.judge(WIDTH)
    return found


def test_an_opinion_gives_estimates_what_is_known_and_the_gap(taught: Learned) -> None:
    found = {
        (each.series.signal, each.series.target): each
        for each in samples(opinion(taught, 1.0), MEASURES, taught.limits, "m", "1")
    }

    assert len(found) == 3 * len(MEASURES)
    estimate = found["estimate", "accuracy"]
    known, gap = found["performance", "accuracy"], found["estimate_gap", "accuracy"]
    assert estimate.stderr > 0.0
    assert known.stderr == 0.0
    assert gap.value == pytest.approx(known.value - estimate.value)
    assert gap.expected == 0.0
    assert estimate.expected == known.expected == pytest.approx(taught.limits.expected[0])


def test_harm_pages_and_an_improvement_informs(taught: Learned) -> None:
    worse = findings(opinion(taught, 0.2), MEASURES, taught.limits, "m", "1")
    better = findings(opinion(taught, 4.0), MEASURES, taught.limits, "m", "1")

    assert {each.severity for each in worse} == {Severity.CRITICAL}
    assert {each.severity for each in better} == {Severity.INFO}
    sides = {each.series.target: each.direction for each in worse}
    assert sides["accuracy"] == "down"
    assert sides["brier"] == "up"
    assert all(each.statistic > each.threshold for each in worse + better)


def test_a_healthy_opinion_finds_nothing_and_the_same_one_the_same(taught: Learned) -> None:
    first, again = (
        findings(opinion(taught, 0.2), MEASURES, taught.limits, "m", "1") for _ in range(2)
    )

    assert findings(opinion(taught, 1.0), MEASURES, taught.limits, "m", "1") == []
    assert [each.id for each in first] == [each.id for each in again]


ROWS = arrays.arrays(np.float64, (12, 3), elements=st.floats() | st.floats(0, 1))


@given(ROWS)
def test_odd_pairs_are_left_out(rows: FloatArray) -> None:
    with np.errstate(all="ignore"):
        made = np.abs(rows[:, 0]) % 1e9
        parts = list(labelled(made, rows[:, 1], rows[:, 2], rows[:, 1] > 0, WIDTH))

    usable = np.isfinite(made) & (rows[:, 2] >= 0) & (rows[:, 2] <= 1)
    assert sum(int(each.known.sum()) for each in parts) == usable.sum()
    assert [each.start for each in parts] == sorted(each.start for each in parts)


def test_truths_are_those_of_their_windows() -> None:
    scores, truths = drawn(3, 300)
    made = np.linspace(0.0, 180.0, 300, endpoint=False)

    parts = list(labelled(made, made + 5.0, scores, truths, WIDTH))

    assert [each.start for each in parts] == [0.0, 60.0, 120.0]
    assert np.array_equal(parts[1].known, truth_counts(scores[100:200], truths[100:200]))
    assert parts[1].delays.sum() == 100
