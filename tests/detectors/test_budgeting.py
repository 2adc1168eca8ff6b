"""The built-in levels under other budgets of false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from watchkeeper.detectors.banks import Columns, bank_for
from watchkeeper.detectors.budgeting import USUAL, budgeted
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import Severity

PAGED = Watch(
    signal="accuracy", detector="ewma", severity=Severity.CRITICAL, settings={"threshold": 5.0}
)


def test_the_usual_budget_leaves_the_usual_levels() -> None:
    assert budgeted([PAGED], USUAL) == (PAGED,)


@pytest.mark.parametrize("times", [0.1, 12.0, 365.0])
def test_a_normal_tail_is_as_many_times_rarer_as_the_budget_is_smaller(times: float) -> None:
    (changed,) = budgeted([PAGED], times * USUAL)

    level = changed.settings["threshold"]
    assert isinstance(level, float)
    assert norm.sf(level) * times == pytest.approx(norm.sf(5.0), rel=1e-3)


def test_evidence_has_half_of_the_budget_and_a_chance_shrinks_with_it() -> None:
    evidence = Watch(signal="errors", detector="shiryaev_roberts_rate", severity=Severity.CRITICAL)
    silent = Watch(signal="volume", detector="silence", severity=Severity.CRITICAL)

    one, other = budgeted([evidence, silent], 10 * USUAL)

    assert one.settings["average_run_length"] == 20 * USUAL
    assert other.settings["alpha"] == pytest.approx(1e-10)


def test_evidence_on_its_own_keeps_its_part_of_the_budget() -> None:
    alone = Watch(
        signal="duplicates",
        detector="shiryaev_roberts_rate",
        severity=Severity.WARNING,
        settings={"average_run_length": 20 * USUAL},
    )

    (changed,) = budgeted([alone], 10 * USUAL)

    assert changed.settings["average_run_length"] == pytest.approx(200 * USUAL)


def test_all_that_opens_incidents_of_repetitions_goes_by_the_budget() -> None:
    usual = [w for w in DEFAULT_WATCHES if w.signal == "duplicates"]

    assert len(usual) == 2
    assert all(a != b for a, b in zip(usual, budgeted(usual, 10 * USUAL), strict=True))


@pytest.mark.parametrize("share", [0.03, 0.05])
def test_requests_that_come_twice_as_often_as_is_usual_keep_to_their_part(share: float) -> None:
    (usual,) = (w for w in DEFAULT_WATCHES if w.signal == "duplicates" and w.target == "requests")
    (watch,) = budgeted([usual], 25.0)
    models, windows = 240, 400
    bank, rows, alarms = bank_for(watch, 1), np.arange(models), 0
    assert bank is not None
    before = np.zeros(models, dtype=np.bool_)

    for index in range(windows):
        random, given = np.random.default_rng([3, index]), np.ones((models, 1), dtype=np.bool_)
        n, at = np.full((models, 1), 100), np.full(models, 60.0 * index)
        value = random.binomial(n, share) / n
        error, expected = np.full((models, 1), np.nan), np.full((models, 1), 0.05)
        made = Columns(watch.signal, ("requests",), at, at + 60, given, value, n, error, expected)
        now = bank.judge_plainly(rows, made).found[:, 0]
        alarms += int(np.count_nonzero(now & ~before))
        before = now

    assert alarms <= models * windows / 500.0


def test_limits_that_were_given_and_explanations_stay() -> None:
    limit = Watch(
        signal="errors",
        detector="threshold",
        severity=Severity.CRITICAL,
        settings={"above": 0.2},
    )
    note = Watch(signal="latency", detector="ewma", settings={"threshold": 5.0})

    assert budgeted([limit, note], USUAL / 30) == (limit, note)


@pytest.mark.parametrize("windows", [1.0, 100.0, 1e6, 1e12])
def test_every_built_in_watch_can_be_made_for_any_budget(windows: float) -> None:
    for watch in budgeted(DEFAULT_WATCHES, windows):
        make(watch.detector, watch.settings, watch.severity)
