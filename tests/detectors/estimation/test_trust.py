"""How far estimates may be trusted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.estimation.classified import Measured
from watchkeeper.detectors.estimation.trust import Trusts
from watchkeeper.detectors.types import StateError

ROW = np.array([0])


def measured(value: float, error: float = 0.0) -> Measured:
    return Measured(np.array([[value]]), np.array([[error]]), np.zeros((1, 1)))


def scored(*gaps: float, error: float = 1.0) -> Trusts:
    trusts = Trusts(1)
    for gap in gaps:
        trusts.score(ROW, measured(0.0, error), measured(gap))
    return trusts


def test_estimates_that_hold_the_truth_come_to_be_trusted() -> None:
    assert not scored().trusted(ROW)[0, 0]
    assert not scored(0.1, -0.3).trusted(ROW)[0, 0]
    assert scored(0.1, -0.3, 1.0).trusted(ROW)[0, 0]
    assert scored(*[0.5] * 20).trust(ROW)[0, 0] > 0.95


def test_estimates_that_miss_the_truth_lose_their_trust_and_may_regain_it() -> None:
    trusts = scored(*[0.5] * 20)
    for gap in (9.0, -20.0, 60.0):
        trusts.score(ROW, measured(0.0, 1.0), measured(gap))
    lost = bool(trusts.trusted(ROW)[0, 0])
    for _ in range(20):
        trusts.score(ROW, measured(0.0, 1.0), measured(0.1))

    assert not lost
    assert trusts.trusted(ROW)[0, 0]


def test_the_band_widens_by_what_its_errors_do_not_explain() -> None:
    random = np.random.default_rng(1)
    honest, off = scored(*random.normal(0, 1, 200)), scored(*random.normal(0, 3, 200))
    whole, half = np.ones(1), np.full(1, 0.5)

    assert honest.widened(ROW, measured(0.0, 1.0), whole)[0, 0] < 1.5
    assert 2.0 < off.widened(ROW, measured(0.0, 1.0), whole)[0, 0] < 5.0
    assert off.widened(ROW, measured(0.0, 0.0), half)[0, 0] < off.beyond(ROW)[0, 0]


def test_a_gap_is_told_in_its_own_errors() -> None:
    gaps = Trusts(1).score(ROW, measured(0.8, 0.03), measured(0.86, 0.04))

    assert gaps.value[0, 0] == pytest.approx(0.06)
    assert gaps.error[0, 0] == pytest.approx(0.05)
    assert gaps.score[0, 0] == pytest.approx(1.2)


@given(st.lists(st.tuples(st.floats(), st.floats(), st.floats()), max_size=20))
def test_odd_numbers_leave_the_record_sound(scores: list[tuple[float, float, float]]) -> None:
    trusts = Trusts(1)
    with np.errstate(all="ignore"):  # of what is given
        for guess, error, truth in scores:
            gaps = trusts.score(ROW, measured(guess, error), measured(truth))
            assert np.array_equal(np.isfinite(gaps.value), np.isfinite(gaps.score))

    assert np.isfinite(trusts.sums).all()
    assert 0.0 <= trusts.trust(ROW)[0, 0] <= 1.0
    assert np.isfinite(trusts.beyond(ROW)).all()


def test_the_record_reads_back_and_refuses_what_is_damaged() -> None:
    trusts, read = scored(0.1, 5.0, -2.0), Trusts(1)
    read.load(3, trusts.dump(0))

    assert np.array_equal(read.trust(np.array([3])), trusts.trust(ROW))
    with pytest.raises(StateError):
        read.load(0, trusts.dump(0)[:-1])
    with pytest.raises(StateError):
        read.load(0, np.full(4, np.nan).tobytes())
