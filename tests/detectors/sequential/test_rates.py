"""Evidence in shares of events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.detectors.sequential import Calibration, RateEvidence
from watchkeeper.detectors.types import StateError

ODD = st.sampled_from([float("nan"), float("inf"), -1.0, 0.0, 1.0, 0.5, 300.0, 1e300])


@pytest.mark.parametrize("p", [0.02, 0.5])
def test_alarms_of_single_events_are_as_rare_as_asked_for(p: float) -> None:
    random, series, level, alarms = np.random.default_rng(1), 300, 300.0, 0
    evidence, rows, one = RateEvidence(), np.arange(series), np.ones(series)
    evidence.seed(rows, np.full(series, 4_000.0 * p), np.full(series, 4_000.0))

    for _ in range(2_000):
        hits = (random.random(series) < p).astype(np.float64)
        above = evidence.update(rows, hits, one) >= level
        alarms += int(above.sum())
        evidence.restart(rows[above])

    assert 0.9 < series * 2_000 / alarms / level < 1.5


def test_windows_that_vary_more_than_events_explain_count_for_less() -> None:
    random, series, level, alarms = np.random.default_rng(2), 200, 300.0, 0
    evidence, rows = RateEvidence(), np.arange(series)

    for t in range(1_000):
        p = random.beta(20, 180, series)
        n = random.poisson(300, series).astype(np.float64)
        above = evidence.update(rows, random.binomial(n.astype(int), p).astype(float), n) >= level
        alarms += int(above.sum()) if t >= 100 else 0
        evidence.restart(rows[above])

    assert series * 900 / max(alarms, 1) > 0.8 * level


def test_a_higher_rate_is_found_and_directions_are_heeded() -> None:
    random, rows = np.random.default_rng(3), np.arange(2)
    either, down = RateEvidence(), RateEvidence("down")
    for t in range(80):
        p = 0.1 if t < 60 else 0.2
        hits, n = random.binomial(200, p, 2).astype(np.float64), np.full(2, 200.0)
        found, other = either.update(rows, hits, n), down.update(rows, hits, n)

    assert (found > 1e6).all()
    assert (other < 1e3).all()


def test_it_says_where_rates_wander() -> None:
    random, rows = np.random.default_rng(4), np.arange(20)
    evidence, level = RateEvidence(), np.zeros(20)
    for _ in range(1_500):
        level = 0.95 * level + random.normal(0, 0.2, 20)
        p = 0.1 * np.exp(level)
        evidence.update(
            rows, random.binomial(300, np.minimum(p, 1)).astype(float), np.full(20, 300.0)
        )

    assert (evidence.calibrated(rows) == Calibration.NOT_CALIBRATED).all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_rate_that_never_varies_is_not_said_to_wander(share: float) -> None:
    evidence, rows, n = RateEvidence(), np.arange(1), np.full(1, 100.0)

    for _ in range(400):
        evidence.update(rows, share * n, n)

    assert evidence.calibrated(rows).tolist() == [Calibration.LEARNING]


def test_a_rate_that_is_nearly_always_zero_is_not_said_to_wander() -> None:
    random, rows = np.random.default_rng(5), np.arange(40)
    evidence, n = RateEvidence(), np.full(40, 100.0)

    for _ in range(1_000):
        evidence.update(rows, random.binomial(100, 0.0005, 40).astype(float), n)

    assert not (evidence.calibrated(rows) == Calibration.NOT_CALIBRATED).any()


@given(st.lists(st.tuples(ODD, ODD), min_size=1, max_size=60))
@settings(max_examples=examples(60), deadline=None)
def test_no_input_breaks_it(stream: list[tuple[float, float]]) -> None:
    evidence, row = RateEvidence(start=1), np.array([0])

    for hits, n in stream * 3:
        found = evidence.update(row, np.array([hits]), np.array([n]))
        assert np.isfinite(found).all()

    other = RateEvidence(start=1)
    other.load(0, evidence.dump(0))
    assert other.dump(0) == evidence.dump(0)


def test_what_is_judged_together_is_judged_as_if_alone() -> None:
    random = np.random.default_rng(5)
    many, one = RateEvidence(start=50), RateEvidence(start=50)
    for _ in range(60):
        n = random.poisson(5, 33).astype(np.float64)
        hits = np.floor(n * random.random(33))
        together = many.update(np.arange(33), hits, n)
        alone = one.update(np.array([0]), hits[17:18], n[17:18])
        assert together[17] == alone[0]


def test_damaged_state_is_refused() -> None:
    evidence = RateEvidence()
    evidence.update(np.array([0]), np.array([1.0]), np.array([10.0]))
    whole = evidence.dump(0)

    for spoiled in (whole[:-1], whole[:8] + b"\xff" * (len(whole) - 8)):
        with pytest.raises(StateError):
            evidence.load(0, spoiled)
