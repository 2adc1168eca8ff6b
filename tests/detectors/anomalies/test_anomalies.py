"""Many series side by side: what holds for each whatever comes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.detectors.anomalies import Anomalies, Judged, Rules
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.types import StateError

RULES = Rules(memory=256, quiet=20)
ROW: IntArray = np.zeros(1, dtype=np.int64)
odd = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1.0, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf]),
)


def run(watched: Anomalies, values: FloatArray, row: int = 0, first: int = 0) -> list[Judged]:
    """Values of one row, a minute each."""
    rows = np.array([row])
    return [
        watched.update(rows, np.array([60.0 * (first + i)]), values[i : i + 1])
        for i in range(len(values))
    ]


def plain(judged: list[Judged]) -> list[tuple[float, float, bool, float]]:
    return [(float(j[0][0]), float(j[1][0]), bool(j[2][0]), float(j[3][0])) for j in judged]


def noise(seed: int, length: int) -> FloatArray:
    return np.random.default_rng(seed).normal(size=length)


def test_a_value_never_seen_is_an_alarm_and_the_usual_is_none() -> None:
    values = noise(1, 600)
    values[500] = 12.0

    judged = run(Anomalies(RULES, 1), values)

    assert judged[500].alarm[0]
    assert judged[500].score[0] == max(j.score[0] for j in judged)
    assert judged[500].score[0] > 2.0


def test_a_stretch_without_change_in_a_lively_series_is_an_alarm() -> None:
    values = noise(2, 800)
    values[600:680] = values[599]

    judged = run(Anomalies(Rules(memory=1_000), 1), values)

    assert max(j.score[0] for j in judged[600:680]) > max(j.score[0] for j in judged[200:600])


def test_the_level_stays_high_during_an_incident() -> None:
    values = noise(3, 600)
    values[500:530] += 10.0 + np.arange(30)

    judged = run(Anomalies(RULES, 1), values)

    assert min(j.level[0] for j in judged[510:530]) > 2 * np.median([j.level[0] for j in judged])


@given(values=st.lists(odd, min_size=1, max_size=120), times=st.lists(odd, max_size=120))
@settings(deadline=None, max_examples=examples(60))
def test_no_number_makes_it_raise_or_say_what_is_none(
    values: list[float], times: list[float]
) -> None:
    watched = Anomalies(RULES, 1)
    run(watched, noise(4, 60))

    for place, value in enumerate(values):
        start = times[place] if place < len(times) else 60.0 * place
        judged = watched.update(ROW, np.array([start]), np.array([value]))
        assert all(np.isfinite(part).all() for part in judged)

    other = Anomalies(RULES, 1)
    other.load(0, watched.dump(0))
    assert other.dump(0) == watched.dump(0)


@given(gaps=st.lists(st.integers(0, 199), max_size=20))
@settings(deadline=None, max_examples=examples(20))
def test_what_is_not_finite_changes_nothing(gaps: list[int]) -> None:
    values = noise(5, 200)
    whole, gapped = Anomalies(RULES, 1), Anomalies(RULES, 1)

    for place in range(200):
        start, value = np.array([60.0 * place]), values[place : place + 1]
        if place in gaps:
            before = gapped.dump(0)
            judged = gapped.update(ROW, start, np.array([math.nan]))
            assert (judged.evidence[0], judged.score[0], bool(judged.alarm[0])) == (0, 0, False)
            assert gapped.dump(0) == before
        whole.update(ROW, start, value)
        gapped.update(ROW, start, value)

    assert whole.dump(0) == gapped.dump(0)


def test_side_by_side_each_is_judged_as_alone() -> None:
    many = np.column_stack([noise(seed, 400) for seed in range(3)])
    together, rows = Anomalies(RULES, 3), np.array([2, 0, 1])
    found: list[list[tuple[float, float, bool, float]]] = [[], [], []]

    for place in range(400):
        start = np.full(3, 60.0 * place)
        judged = together.update(rows, start, many[place, rows])
        for at, row in enumerate(rows.tolist()):
            evidence, level, alarm, score = (part[at].item() for part in judged)
            found[row].append((evidence, level, alarm, score))

    for row in range(3):
        assert found[row] == plain(run(Anomalies(RULES, 1), many[:, row]))


@given(cut=st.integers(0, 399))
@settings(deadline=None, max_examples=examples(10))
def test_stored_and_taken_up_it_goes_on(cut: int) -> None:
    values = noise(6, 400)
    first, second = Anomalies(RULES, 1), Anomalies(RULES, 2)
    before = plain(run(first, values[:cut]))

    second.load(1, first.dump(0))
    after = plain(run(second, values[cut:], 1, cut))

    assert before + after == plain(run(Anomalies(RULES, 1), values))


@pytest.mark.parametrize("power", [-30, 30])
def test_the_unit_of_the_values_does_not_matter(power: int) -> None:
    values = np.round(noise(7, 400), 3)

    scaled = plain(run(Anomalies(RULES, 1), values * 2.0**power))

    assert scaled == plain(run(Anomalies(RULES, 1), values))


def test_what_comes_later_changes_nothing_that_was_said() -> None:
    values = noise(8, 400)
    other = values.copy()
    other[300:] *= 100

    mine, theirs = (plain(run(Anomalies(RULES, 1), each)) for each in (values, other))

    assert mine[:300] == theirs[:300]
    assert mine[300:] != theirs[300:]


def test_what_is_cleared_begins_anew() -> None:
    watched = Anomalies(RULES, 2)
    run(watched, noise(9, 100), 0)
    run(watched, noise(10, 100), 1)
    kept = watched.dump(1)

    watched.clear(ROW)

    assert watched.dump(0) == Anomalies(RULES, 1).dump(0)
    assert watched.dump(1) == kept


def test_a_foreign_or_damaged_state_is_refused() -> None:
    watched = Anomalies(RULES, 1)
    run(watched, noise(11, 100))
    stored = watched.dump(0)
    nan = np.array([np.nan]).tobytes()

    for damaged in (b"", stored[:-1], b"x" + stored[1:], stored[:24] + nan + stored[32:]):
        with pytest.raises(StateError):
            Anomalies(RULES, 1).load(0, damaged)
    with pytest.raises(StateError):
        Anomalies(Rules(memory=300), 1).load(0, stored)


def test_without_kernels_it_is_the_same_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    values = noise(12, 900).cumsum()
    fast, slow = Anomalies(RULES, 1), Anomalies(RULES, 1)
    run(fast, values)

    monkeypatch.setenv("WATCHKEEPER_FAST", "0")
    run(slow, values)

    assert slow.dump(0) == fast.dump(0)
