"""Evidence in histograms: of categories, classes, the bins of a score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.detectors.frames import FloatArray
from watchkeeper.detectors.sequential import Calibration, CategoryEvidence
from watchkeeper.detectors.types import StateError

COUNTS = st.lists(
    st.lists(
        st.sampled_from([0.0, 1.0, 300.0, -5.0, 1e300, float("nan"), float("inf")]),
        min_size=3,
        max_size=3,
    ),
    min_size=1,
    max_size=30,
)


def drawn(random: np.random.Generator, shares: npt.ArrayLike, series: int) -> FloatArray:
    """Windows of 300 events with these shares."""
    return random.multinomial(300, np.asarray(shares), series).astype(np.float64)


def drawn_each(random: np.random.Generator, mixes: list[list[float]]) -> FloatArray:
    """A window of each mix."""
    return np.concatenate([drawn(random, mix, 1) for mix in mixes])


def test_alarms_are_no_more_than_asked_for() -> None:
    random, series, level, alarms = np.random.default_rng(1), 100, 200.0, 0
    evidence, rows = CategoryEvidence(8), np.arange(series)
    shares = random.dirichlet(np.full(8, 3.0))
    for _ in range(400):
        above = evidence.update(rows, drawn(random, shares, series)) >= level
        alarms += int(above.sum())
        evidence.restart(rows[above])

    assert series * 400 / max(alarms, 1) > 0.9 * level


def test_windows_that_are_large_against_memory_do_not_alarm_without_a_change() -> None:
    random, rows, memory = np.random.default_rng(7), np.arange(20), 1e6
    evidence, shares, highest = CategoryEvidence(20, memory=memory), np.full(20, 0.05), 0.0
    for _ in range(400):
        counts = random.multinomial(round(memory / 3), shares, len(rows)).astype(np.float64)
        highest = max(highest, float(evidence.update(rows, counts).max()))
    changed = np.full(20, 0.05)
    changed[:2] += [0.004, -0.004]
    for _ in range(3):
        counts = random.multinomial(round(memory / 3), changed, len(rows)).astype(np.float64)
        found = evidence.update(rows, counts)

    assert highest < 43_200
    assert found.min() > 43_200


def test_another_mix_is_found_at_once_and_a_little_one_in_time() -> None:
    random, rows = np.random.default_rng(2), np.arange(3)
    evidence = CategoryEvidence(4)
    evidence.seed(rows, np.full((3, 4), 1_000.0))
    usual = [0.25] * 4
    for _ in range(30):
        evidence.update(rows, drawn(random, usual, 3))
    mixes = [usual, [0.5, 0.2, 0.2, 0.1], [0.28, 0.25, 0.25, 0.22]]
    first = evidence.update(rows, drawn_each(random, mixes))
    for _ in range(40):
        last = evidence.update(rows, drawn_each(random, mixes))

    assert first[1] > 1e6
    assert last[2] > 1e4
    assert last[0] < 1e3


@given(COUNTS)
@settings(max_examples=examples(60), deadline=None)
def test_no_input_breaks_it(stream: list[list[float]]) -> None:
    evidence, row = CategoryEvidence(3, start=1), np.array([0])

    for counts in stream * 2:
        assert np.isfinite(evidence.update(row, np.array([counts]))).all()

    other = CategoryEvidence(3, start=1)
    other.load(0, evidence.dump(0))
    assert other.dump(0) == evidence.dump(0)


def test_one_category_alone_is_not_said_to_wander() -> None:
    random, rows = np.random.default_rng(6), np.arange(1)
    evidence = CategoryEvidence(4)

    for _ in range(400):
        evidence.update(rows, np.array([[float(random.poisson(100)), 0.0, 0.0, 0.0]]))

    assert evidence.calibrated(rows).tolist() == [Calibration.LEARNING]


def test_bins_beyond_those_kept_are_counted_into_the_last() -> None:
    wide, narrow, row = CategoryEvidence(2, start=1), CategoryEvidence(2, start=1), np.array([0])

    for _ in range(5):
        one = wide.update(row, np.array([[5.0, 2.0, 1.0]]))
        other = narrow.update(row, np.array([[5.0, 3.0]]))

    assert one.tolist() == other.tolist()


def test_what_is_judged_together_is_judged_as_if_alone() -> None:
    random = np.random.default_rng(5)
    many, one = CategoryEvidence(6), CategoryEvidence(6)
    for _ in range(20):
        counts = random.poisson(20, (33, 6)).astype(np.float64)
        together = many.update(np.arange(33), counts)
        assert together[17] == one.update(np.array([0]), counts[17:18])[0]


def test_damaged_state_is_refused() -> None:
    evidence = CategoryEvidence(3)
    whole = evidence.dump(0)

    with pytest.raises(StateError):
        evidence.load(0, whole[:8] + b"\xff" * (len(whole) - 8))
