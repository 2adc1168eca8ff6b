"""Budgets of false alarms: what people write, and the threshold that it comes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.budget import BadBudget, Budget, parse

DAY = 86_400.0


@pytest.mark.parametrize(
    ("text", "alarms", "seconds"),
    [
        ("1 per 30 days", 1, 30 * DAY),
        ("2 per week", 2, 7 * DAY),
        ("once a month", 1, 30 * DAY),
        ("twice per year", 2, 365 * DAY),
        ("0.5 in 12 hours", 0.5, DAY / 2),
        ("1 per 30d", 1, 30 * DAY),
        ("  3 PER 2 Weeks ", 3, 14 * DAY),
        ("1 every 90 min", 1, 5_400),
    ],
)
def test_a_budget_is_read_as_people_write_it(text: str, alarms: float, seconds: float) -> None:
    assert parse(text) == Budget(alarms, seconds)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("none", "no alarms at all"),
        ("0", "no alarms at all"),
        ("", "cannot be understood"),
        ("often", "cannot be understood"),
        ("-1 per day", "cannot be understood"),
        ("1 per", "cannot be understood"),
        ("0 per day", "above 0"),
        ("1 per 0 days", "above 0"),
        ("1 per fortnight", "no unit of time 'fortnight'"),
        ("nan per day", "cannot be understood"),
        (f"1 per {'9' * 400} days", "too large"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadBudget, match=why):
        parse(text)


@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    try:
        budget = parse(text)
    except BadBudget:
        return
    assert budget.alarms > 0 < budget.seconds


@given(st.integers(1, 1_000), st.integers(1, 10_000))
def test_what_it_says_of_itself_can_be_read_again(alarms: int, days: int) -> None:
    budget = Budget(float(alarms), days * DAY)

    assert parse(str(budget)) == budget


def test_a_window_a_minute_makes_a_month_43200_samples() -> None:
    assert parse("1 per 30 days").samples(1 / 60) == 43_200


@given(st.integers(1, 10_000))
def test_shares_of_a_budget_add_up_to_it(models: int) -> None:
    share = parse("2 per week").shared(models)

    assert models * share.alarms == pytest.approx(2.0)
    assert share.samples(1.0) == pytest.approx(models * 7 * DAY / 2)
