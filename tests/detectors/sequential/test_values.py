"""Evidence in numeric series: compiled as by NumPy, rare without change, soon with one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiled import needs_kernels
from tests.examples import examples
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.sequential import Calibration, ValueEvidence
from watchkeeper.detectors.sequential.advance import Given, plain
from watchkeeper.detectors.sequential.bets import CELLS, bets, over
from watchkeeper.detectors.sequential.chance import Words, mixed
from watchkeeper.detectors.types import Direction, StateError

ODD = st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 0.0, -0.0, 1.0])
VALUES = st.lists(st.one_of(ODD, st.floats(-5, 5)), min_size=1, max_size=120)


def keys_for(rows: IntArray) -> Words:
    return mixed(rows.astype(np.uint64))


def taken(values: FloatArray, **rules: int) -> tuple[ValueEvidence, FloatArray]:
    """What evidence makes of values (S, T)."""
    evidence, rows = ValueEvidence(**rules), np.arange(len(values))  # type: ignore[arg-type]
    return evidence, evidence.update(rows, keys_for(rows), values)


def mixture(seed: int, series: int, values: int) -> FloatArray:
    """Streams of all kinds: normal, tied, constant, correlated, huge, moved, with gaps or leaps."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(series, values))
    table[1::7] = random.integers(0, 4, table[1::7].shape)
    table[2::7] = 3.0
    table[3::7] = np.cumsum(table[3::7], axis=1)
    table[4::7] *= 1e200
    table[5::7, values // 2 :] += 1.0
    table[12::14, values // 2 :] += 30.0
    table[6::7][random.random(table[6::7].shape) < 0.2] = np.nan
    return table


@needs_kernels
@pytest.mark.parametrize(
    ("start", "memory"), [(30, 100_000), (255, 600), (300, 512), (1, 700), (255, 520)]
)
def test_compiled_loops_do_what_numpy_does_to_the_last_bit(start: int, memory: int) -> None:
    values = mixture(start, 28, 900)
    compiled, found = taken(values, start=start, memory=memory)
    other = ValueEvidence(start=start, memory=memory)
    rows = np.arange(len(values))
    other.reach(rows)
    salts, learn = np.zeros(values.shape, dtype=np.uint64), np.ones(len(rows), dtype=np.bool_)

    plainly = plain(
        other.parts[0],
        other.parts[1],
        Given(rows, rows, keys_for(rows), values, salts, learn),
        other.rules,
    )

    assert memory > 900 or (compiled.parts[0]["learned"][12:28:14] < 900 - 450).all()  # anew
    assert plainly.tobytes() == found.tobytes()
    for mine, theirs in zip(compiled.parts, other.parts, strict=True):
        assert mine[: len(rows)].tobytes() == theirs[: len(rows)].tobytes()


@given(VALUES, st.integers(1, 20))
@settings(max_examples=examples(60), deadline=None)
def test_no_input_breaks_it_and_cuts_do_not_matter(stream: list[float], cut: int) -> None:
    values = np.array([stream * 3])
    whole, found = taken(values, start=10)
    parts, rows = ValueEvidence(start=10), np.array([0])
    pieces: list[FloatArray] = []

    for first in range(0, values.shape[1], cut):
        stored = parts.dump(0)
        parts = ValueEvidence(start=10)
        parts.load(0, stored)
        pieces.append(parts.update(rows, keys_for(rows), values[:, first : first + cut]))

    assert np.isfinite(found).all()
    assert np.concatenate(pieces, axis=1).tobytes() == found.tobytes()
    assert parts.dump(0) == whole.dump(0)


@pytest.mark.parametrize("direction", ["either", "up", "down"])
def test_bets_are_fair(direction: Direction) -> None:
    table, weights = bets(direction)

    assert table.shape == (CELLS, len(weights))
    np.testing.assert_allclose(table.mean(axis=0), 1.0, rtol=1e-12)
    assert (table >= 0).all()


def test_bets_over_any_cells_are_fair() -> None:
    edges = [0.0, 0.1, 0.1, 0.5, 0.99, 1.0]

    table = over(edges)

    np.testing.assert_allclose(np.diff(edges) @ table, 1.0, rtol=1e-12)
    assert (table[1] == 1.0).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "ties", "heavy"])
def test_alarms_are_as_rare_as_asked_for(kind: str) -> None:
    random, level, series, values = np.random.default_rng(3), 300.0, 200, 3_000
    table = (
        random.standard_t(3, (series, values))
        if kind == "heavy"
        else (random.normal(size=(series, values)))
    )
    table = np.round(table) if kind == "ties" else table
    evidence, rows, alarms = ValueEvidence(), np.arange(series), 0
    keys = keys_for(rows)
    evidence.update(rows, keys, table[:, :255])

    for t in range(255, values):
        above = evidence.update(rows, keys, table[:, t]) >= level
        alarms += int(above.sum())
        evidence.restart(rows[above])

    assert 0.9 < series * (values - 255) / alarms / level < 1.2


def test_scale_and_place_mean_nothing() -> None:
    values = np.random.default_rng(4).normal(size=(6, 1_200))
    values[:, 1_000:] += 1.0

    _, found = taken(values)

    for factor, shift in ((2.0**-30, 0.0), (2.0**40, 0.0)):
        _, other = taken(values * factor + shift)
        np.testing.assert_array_equal(other, found)


def test_changes_of_level_spread_and_shape_are_found() -> None:
    random = np.random.default_rng(5)
    values = random.normal(size=(5, 1_600))
    values[0, 1_000:] += 0.7
    values[1, 1_000:] *= 1.8
    values[2, 1_000:] *= 0.5
    values[3, 1_000:] = random.choice([-0.9, 0.9], 600) + 0.4359 * random.normal(size=600)

    _, found = taken(values)

    assert (found[:4, -1] > 1e6).all()
    assert found[4, -1] < 1e4


@pytest.mark.slow
def test_after_a_tolerated_change_of_level_changes_are_found_again() -> None:
    values = np.random.default_rng(10).normal(size=(6, 7_000))
    values[:, 1_000:] += 12.0  # beyond all edges
    values[:3, 6_600:] += 1.0
    evidence, rows = ValueEvidence(memory=2_000), np.arange(6)
    keys = keys_for(rows)
    evidence.update(rows, keys, values[:, :6_500])
    evidence.restart(rows)

    found = evidence.update(rows, keys, values[:, 6_500:])

    assert (found[:3, 180] > 43_200).all()
    assert (found[3:] < 43_200).all()


def test_edges_stay_while_nothing_changes() -> None:
    values = np.random.default_rng(11).normal(size=(6, 5_000))
    values[3:] = np.round(values[3:])
    evidence, rows = ValueEvidence(memory=1_000, whitens=False), np.arange(6)
    evidence.update(rows, keys_for(rows), values[:, :300])
    edges = evidence.parts[1]["edges"][:6].copy()

    evidence.update(rows, keys_for(rows), values[:, 300:])

    np.testing.assert_array_equal(evidence.parts[1]["edges"][:6], edges)


def test_directed_evidence_heeds_one_direction() -> None:
    values = np.random.default_rng(6).normal(size=(2, 1_400))
    values[0, 1_000:] += 1.0
    values[1, 1_000:] -= 1.0
    evidence, rows = ValueEvidence("up"), np.arange(2)

    found = evidence.update(rows, keys_for(rows), values)

    assert found[0, -1] > 1e6
    assert found[1, -1] < 1e3


def test_correlated_values_are_whitened_and_others_are_not() -> None:
    random = np.random.default_rng(7)
    noise = random.normal(size=(40, 3_000))
    for t in range(1, 3_000):
        noise[:20, t] += 0.6 * noise[:20, t - 1]

    evidence, found = taken(noise)

    assert (evidence.parts[0]["stage"][:20] == 2).all()
    assert (evidence.parts[0]["stage"][20:40] == 1).mean() > 0.8
    assert (evidence.calibrated(np.arange(40)) == Calibration.CALIBRATED).all()
    assert (found[:, -1] < 1e5).all()


def test_it_says_where_false_alarms_are_not_as_rare_as_asked_for() -> None:
    noise = np.random.default_rng(8).normal(size=(4, 3_000))
    for t in range(1_000, 3_000):
        noise[:2, t] += 0.7 * noise[:2, t - 1]
    evidence, rows = ValueEvidence(whitens=False), np.arange(4)

    before = evidence.update(rows, keys_for(rows), noise[:, :300])
    learning = evidence.calibrated(rows).tolist()
    evidence.update(rows, keys_for(rows), noise[:, 300:])

    assert np.isfinite(before).all()
    assert learning == [Calibration.LEARNING] * 4
    assert (
        evidence.calibrated(rows).tolist()
        == [Calibration.NOT_CALIBRATED] * 2 + [Calibration.CALIBRATED] * 2
    )


def test_damaged_state_is_refused() -> None:
    evidence, _ = taken(mixture(1, 7, 600))
    whole = evidence.dump(1)

    for spoiled in (b"", whole[:-1], whole + b"0", whole[:8] + b"\xff" * (len(whole) - 8)):
        with pytest.raises(StateError):
            evidence.load(1, spoiled)

    assert evidence.dump(1) == whole


def test_a_series_takes_at_most_300_bytes_beside_its_history() -> None:
    assert ValueEvidence().bytes_per_series <= 300
