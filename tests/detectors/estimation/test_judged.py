"""Stretches: judged when it is sure, by what they were when all was well."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.detectors.estimation.bins import truth_counts
from watchkeeper.detectors.estimation.calibration import Curves, curves
from watchkeeper.detectors.estimation.judged import (
    BINS,
    FEWEST,
    KEPT,
    LEARNED,
    SIZE,
    TARGETS,
    WIDE,
    Judged,
    Kept,
    Said,
)
from watchkeeper.detectors.estimation.verdict import Why

HOUR, WEEK = 3_600.0, 7 * 86_400.0


def drawn(seed: int, start: float, wrong: float = 0.0, n: int = SIZE) -> Kept:
    """Predictions of an hour; so many truths are not what scores say."""
    random = np.random.default_rng(seed)
    score = random.beta(0.6, 0.6, n)
    truth = random.random(n) < np.where(random.random(n) < wrong, 0.5, score)
    at = start + np.sort(random.uniform(0.0, HOUR, n))
    return Kept(at, score, score >= 0.5, np.ones(n, np.bool_), truth, np.zeros(n))


def curve() -> Curves:
    many = drawn(999, 0.0, n=50_000)
    counts = truth_counts(many.score, many.truth).reshape(2, BINS, WIDE).sum(axis=2)
    return curves(counts[None])


CURVE = curve()


def both(*parts: Kept) -> Kept:
    return Kept(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def told(kept: Kept, share: float) -> Kept:
    """The same, of which the truth is known of so many."""
    known = np.random.default_rng(3).random(len(kept.at)) < share
    return kept._replace(known=known)


def hour(judged: Judged, kept: Kept, number: int, *, learns: bool = True) -> list[Said]:
    """Lets one more hour end."""
    bound = (number + 1) * HOUR
    judged.due(number * HOUR)
    assert judged.due(bound)
    return judged.judge(kept, CURVE, bound, WEEK, learns=learns)


def taught(hours: int = LEARNED) -> Judged:
    judged = Judged()
    for number in range(hours):
        hour(judged, drawn(number, number * HOUR), number)
    return judged


def sides(said: list[Said]) -> dict[str, float]:
    return {each.target: (each.value - each.expected) / each.error for each in said}


def test_what_is_normal_is_given_as_such_and_what_is_worse_as_worse() -> None:
    judged = taught()

    good = hour(judged, drawn(70, LEARNED * HOUR), LEARNED)
    bad = hour(judged, drawn(71, (LEARNED + 1) * HOUR, wrong=0.3), LEARNED + 1)

    assert {each.why for each in (*good, *bad)} == {Why.REALISED}
    assert set(sides(good)) == set(TARGETS)
    assert all(abs(each) < 3.0 for each in sides(good).values())
    assert all(each < -3.0 for each in sides(bad).values())
    assert judged.worse == 0b111


def test_nothing_is_given_before_enough_is_known_to_be_normal() -> None:
    judged = taught(FEWEST - 1)

    bad = hour(judged, drawn(70, (FEWEST - 1) * HOUR, wrong=0.3), FEWEST - 1)
    judged = taught(FEWEST)
    sure = hour(judged, drawn(70, FEWEST * HOUR, wrong=0.5), FEWEST)

    assert bad == []
    assert all(each < -3.0 for each in sides(sure).values())


def test_limits_are_wider_while_less_is_known() -> None:
    few, many = taught(FEWEST), taught(LEARNED)
    for judged in (few, many):
        judged.normal = [[float(n)] * 3 for n in (judged.normal[0][0], 0.9, 0.0)]
        judged.normal[2] = [1e-4 * (judged.normal[0][0] - 1.0)] * 3  # the deviation is 0.01

    (narrow, wide) = (
        hour(judged, drawn(70, n * HOUR), n)[0].error
        for judged, n in ((many, LEARNED), (few, FEWEST))
    )

    assert narrow == pytest.approx(0.01)
    assert wide == pytest.approx(0.01 * 4.09 / 3.0 * math.sqrt(1.1), rel=0.02)  # Student's, 9


def test_a_stretch_waits_for_truths_that_may_still_decide_it() -> None:
    judged, at = taught(), LEARNED * HOUR
    bad, later = drawn(71, at, wrong=0.3), drawn(72, at + HOUR, n=10)

    early = hour(judged, told(bad, 0.05), LEARNED)
    late = hour(judged, both(told(bad, 0.9), later), LEARNED + 1)
    again = hour(judged, both(told(bad, 1.0), later), LEARNED + 2)

    assert early == []
    assert {each.target for each in late} >= {"accuracy"}
    assert all(each.why is Why.ESTIMATED and each.coverage < 1.0 for each in late)
    # Each measure is given once.
    assert not {each.target for each in late} & {each.target for each in again}


def test_harm_is_estimated_by_who_is_trusted_alone() -> None:
    trusted, at = taught(), LEARNED * HOUR
    strange = msgspec.convert(msgspec.to_builtins(trusted), Judged)
    strange.record = [[0.0] * 4 for _ in TARGETS]
    harder = drawn(71, at)._replace(score=np.full(SIZE, 0.55), said=np.ones(SIZE, np.bool_))

    by_one, by_other = (
        sides(hour(each, told(harder, 0.0), LEARNED)) for each in (trusted, strange)
    )

    assert by_one["accuracy"] < -3.0
    assert "accuracy" not in by_other


def test_where_no_truth_comes_any_more_those_that_came_decide() -> None:
    judged, at = taught(), LEARNED * HOUR
    bad = told(drawn(71, at, wrong=0.3), 0.6)

    first = hour(judged, bad, LEARNED)
    judged.due(at + WEEK + 2 * HOUR)
    last = judged.judge(bad, CURVE, at + WEEK + 2 * HOUR, WEEK, learns=True)

    said = {each.target: each for each in (*first, *last)}
    assert said["accuracy"].value < said["accuracy"].expected - 3 * said["accuracy"].error
    assert judged.held == []


def test_of_too_few_truths_nothing_is_said() -> None:
    judged, at = taught(), LEARNED * HOUR
    judged.record = [[0.0] * 4 for _ in TARGETS]
    few = told(drawn(71, at, wrong=0.5), 0.3)

    hour(judged, few, LEARNED)
    last = judged.judge(few, CURVE, at + WEEK + 2 * HOUR, WEEK, learns=True)

    assert last == []
    assert judged.held == []


@pytest.mark.parametrize(("wrong", "learns"), [(0.5, True), (0.0, False)])
def test_neither_harm_nor_bad_times_teach_what_is_normal(wrong: float, learns: bool) -> None:
    judged = taught(FEWEST + 5)
    before = judged.normal

    hour(judged, drawn(71, (FEWEST + 5) * HOUR, wrong=wrong), FEWEST + 5, learns=learns)

    assert judged.normal == before


def test_what_was_learned_stays_until_it_is_forgotten() -> None:
    judged = taught()
    before = judged.normal
    hour(judged, drawn(70, LEARNED * HOUR), LEARNED)
    assert judged.normal == before

    judged.forget()

    assert judged.normal[0] == [0.0] * 3


def test_a_stretch_grows_until_it_has_enough() -> None:
    judged = Judged()
    first, second = drawn(1, 0.0, n=SIZE // 2), drawn(2, HOUR, n=SIZE // 2)

    hour(judged, told(first, 0.0), 0)
    assert judged.held == []
    hour(judged, told(both(first, second), 0.0), 1)

    assert [(each.start, each.end, each.n) for each in judged.held] == [(0.0, 2 * HOUR, SIZE)]


def test_no_more_stretches_are_kept_than_say() -> None:
    judged, rows = Judged(), drawn(0, 0.0, n=1)
    for number in range(KEPT + 8):
        rows = both(rows, told(drawn(number, number * HOUR), 0.0))
        hour(judged, rows, number)

    assert len(judged.held) <= KEPT


def test_an_heir_knows_what_is_normal_and_nothing_else() -> None:
    judged = taught()

    heir = judged.heir()

    assert heir.normal == judged.normal
    assert heir.held == []
    assert heir.record == Judged().record


def test_a_restart_changes_nothing() -> None:
    judged, at = taught(FEWEST + 3), (FEWEST + 3) * HOUR
    bad = drawn(71, at, wrong=0.3)
    hour(judged, told(bad, 0.2), FEWEST + 3)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(judged), type=Judged)

    mine, theirs = (repr(hour(each, bad, FEWEST + 4)) for each in (judged, again))

    assert mine == theirs != "[]"


@pytest.mark.parametrize("record", [[[0.0]], [[math.nan] * 4] * 3])
def test_damage_is_told(record: list[list[float]]) -> None:
    plain = msgspec.to_builtins(Judged())
    plain[3] = record

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(plain, Judged)


@given(
    rows=st.lists(
        st.tuples(
            st.floats(0.0, 5 * HOUR), st.floats() | st.just(0.5), *[st.booleans()] * 3, st.floats()
        ),
        max_size=30,
    ),
    many=st.booleans(),
)
@settings(max_examples=examples(60), deadline=None)
def test_no_rows_raise_or_give_what_is_no_number(
    rows: list[tuple[float, float, bool, bool, bool, float]], many: bool
) -> None:
    columns = [list(each) for each in zip(*rows, strict=True)] or [[]] * 6
    kinds = (np.float64, np.float64, np.bool_, np.bool_, np.bool_, np.float64)
    odd = Kept(*(np.array(c, dtype=k) for c, k in zip(columns, kinds, strict=True)))
    judged = taught(FEWEST) if many else Judged()
    if many:
        odd = both(odd, drawn(5, FEWEST * HOUR))

    said = hour(judged, odd, FEWEST)

    assert all(math.isfinite(each.value) and math.isfinite(each.error) for each in said)
    assert np.isfinite(judged.normal).all()
    assert np.isfinite(judged.record).all()


def test_only_a_later_stretch_that_was_good_says_that_all_is_well_again() -> None:
    never, worse = Judged(), Judged(worse=1, last=[20.0, 20.0, -math.inf])

    assert not never.well_after("accuracy", 0.0)
    assert not worse.well_after("accuracy", 10.0)
    assert worse.well_after("f1", 10.0)
    assert not worse.well_after("f1", 20.0)
    assert not worse.well_after("roc_auc", 10.0)
