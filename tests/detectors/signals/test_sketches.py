"""Sketches of clients: exact in any order, still where all are alike, loud where one is not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.detectors.signals.frames import WINDOW, predictions
from tests.detectors.signals.test_exactness import PROFILES, odd_predictions
from tests.examples import examples
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.signals.clients import Clients
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import (
    FloatArray,
    Partial,
    PredictionFrame,
    Sample,
    Samples,
    Series,
    Severity,
    Window,
)

TARGETS = ("answers", "boundary", "repeats")
LABELS = np.array([f"label {i}" for i in range(10)])
USUAL = np.array([0.6, 0.2, 0.1, 0.03, 0.02, 0.01, 0.01, 0.01, 0.01, 0.01])
N = 2_000


def traffic(
    rng: np.random.Generator, n: int = N, attack: str = "", asked: int = 100
) -> PredictionFrame:
    """Requests of two thousand clients, few of which ask often; `asked` of them by an attacker."""
    clients = [f"client {i}" for i in rng.zipf(1.3, n) % 2_000]
    inputs, score = rng.normal(size=(n, 6)), rng.beta(0.4, 0.8, n)
    label = rng.choice(LABELS, n, p=USUAL)
    if attack:
        clients[:asked] = ["attacker"] * asked
    if attack == "walk":
        steps = np.linspace(0.3, 0.01, asked)[:, None]
        inputs[:asked] = inputs[0] + steps * rng.normal(size=(asked, 6))
        score[:asked] = np.clip(0.5 + 0.03 * rng.normal(size=asked), 0.0, 1.0)
    elif attack == "sweep":
        label[:asked] = rng.choice(LABELS, asked)
    elif attack == "repeat":
        inputs[:asked] = inputs[0]
    numeric: dict[str, Sequence[float] | FloatArray] = {
        f"x{i}": 10.0**i * column for i, column in enumerate(inputs.T)
    }
    return predictions(n, entity=clients, score=score, label=label.tolist(), numeric=numeric)


def reference() -> Profile:
    learned = learn_profile([traffic(np.random.default_rng(99), 3_000)], "m", "1")
    return replace(learned, task="binary")


KNOWN = reference()


def sketched(frame: PredictionFrame, profile: Profile | None = KNOWN) -> Partial:
    return Clients().sketch(PredictionBlock.of(frame), profile)


def told(part: Partial, profile: Profile | None = KNOWN) -> dict[str, Sample]:
    return {s.series.target: s for s in Clients().samples(part, profile, "m", "1", WINDOW)}


def values(attack: str, seed: int, asked: int = 100) -> dict[str, float]:
    frame = traffic(np.random.default_rng(seed), attack=attack, asked=asked)
    return {target: sample.value for target, sample in told(sketched(frame)).items()}


@settings(max_examples=examples(60), deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(PROFILES),
    st.sets(st.integers(0, 40)),
    st.randoms(),
)
def test_cut_and_order_do_not_matter(
    seed: int, profile: Profile | None, cuts: set[int], order: object
) -> None:
    rng = np.random.default_rng(seed)
    frame = odd_predictions(rng, 40)
    parts = [frame.take(rows) for rows in np.split(rng.permutation(40), sorted(cuts))]

    whole, pieces = sketched(frame, profile), Partial()
    for part in parts:
        pieces.merge(sketched(part, profile))

    assert set(pieces) == set(whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(pieces[name], array, strict=True)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(PROFILES), st.integers(0, 400))
def test_samples_of_any_numbers_are_sound(seed: int, profile: Profile | None, n: int) -> None:
    part = sketched(odd_predictions(np.random.default_rng(seed), n), profile)

    found = told(part, profile)

    assert all(array.dtype == np.int64 and array.min() >= 0 for array in part.values())
    assert all(math.isfinite(sample.value) and sample.value >= 0 for sample in found.values())
    assert all(0 < sample.n <= n for sample in found.values())


def test_tables_do_not_grow_with_clients() -> None:
    rng = np.random.default_rng(1)

    few = sketched(predictions(10, entity=["a"] * 10, score=[0.5] * 10))
    many = sketched(traffic(rng, 20_000))

    assert many["near"].shape == few["near"].shape
    assert sum(array.nbytes for array in many.values()) < 140_000


def test_nobody_named_is_nobody_sketched() -> None:
    assert sketched(predictions(50, score=[0.5] * 50)) == {}


@pytest.mark.parametrize("seed", range(5))
def test_clients_that_are_all_alike_do_not_stand_out(seed: int) -> None:
    assert values("", seed) == dict.fromkeys(TARGETS, 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_who_walks_along_the_border_stands_out(seed: int) -> None:
    assert values("walk", seed)["boundary"] > 0.5


@pytest.mark.parametrize("seed", range(5))
def test_who_asks_for_every_class_stands_out(seed: int) -> None:
    found = values("sweep", seed)

    assert found["answers"] > 0.5
    assert found["boundary"] == found["repeats"] == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_who_repeats_one_input_stands_out(seed: int) -> None:
    found = values("repeat", seed)

    assert found["repeats"] > 0.5
    assert found["boundary"] == found["answers"] == 0.0


def test_too_few_requests_to_be_sure_are_nothing() -> None:
    assert values("walk", 1, asked=10)["boundary"] == 0.0


def test_a_client_without_others_is_compared_with_nobody() -> None:
    frame = predictions(100, entity=["a"] * 100, score=[0.5] * 100)

    assert told(sketched(frame))["boundary"].value == 0.0


def test_a_half_is_no_border_where_answers_are_not_two() -> None:
    part = sketched(traffic(np.random.default_rng(2), attack="walk"))

    assert "boundary" not in told(part, replace(KNOWN, task="multiclass"))
    assert "boundary" not in told(part, None)


@pytest.mark.parametrize(
    ("attack", "target"), [("walk", "boundary"), ("sweep", "answers"), ("repeat", "repeats")]
)
def test_an_attack_warns_within_a_few_windows_and_quiet_does_not(attack: str, target: str) -> None:
    watch = next(w for w in DEFAULT_WATCHES if (w.signal, w.target) == ("clients", target))
    detector = make(watch.detector, watch.settings, watch.severity)
    found = []

    for i in range(50):
        frame = traffic(np.random.default_rng([3, i]), 1_000, attack if i >= 40 else "")
        sample = told(sketched(frame))[target]
        window = Window(60.0 * i, 60.0 * i + 60.0)
        at = Sample(Series("m", "1", "clients", target), window, sample.value, sample.n)
        found += detector.update(Samples.of([at]))

    assert watch.severity is Severity.WARNING
    assert 40 * 60.0 < min(each.at for each in found) <= 45 * 60.0
