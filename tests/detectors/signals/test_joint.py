"""How features go together in a window, against a reference."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detectors.joint.columns import Columns, reference, related
from tests.detectors.signals.frames import WINDOW, predictions
from tests.detectors.signals.test_exactness import odd_predictions
from tests.examples import examples
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.joint.rows import MOST
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.signals.joint import Joint
from watchkeeper.detectors.types import Partial, Sample

JOINT = Joint()
USUAL = reference(related(3_000, 0.8))


def sketched(columns: Columns, profile: Profile | None = USUAL) -> Partial:
    n = len(next(iter(columns.values())))
    part = part_of("joint")
    part.merge(JOINT.sketch(PredictionBlock.of(predictions(n, numeric=columns)), profile))
    return part


def told(part: Partial, profile: Profile | None = USUAL) -> dict[str, Sample]:
    return {s.series.target: s for s in JOINT.samples(part, profile, "m", "1", WINDOW)}


def test_a_window_like_the_reference_is_explained_by_chance() -> None:
    found = told(sketched(related(MOST, 0.8, seed=1)))

    assert found["pairs"].value < 4.0
    residual = found["residual"]
    assert residual.value < residual.expected + 4 * residual.stderr
    assert residual.n == found["pairs"].n == MOST


@pytest.mark.parametrize("correlation", [0.0, -0.8])
def test_features_that_go_together_otherwise_stand_out(correlation: float) -> None:
    part = sketched(related(MOST, correlation, seed=2))

    found = told(part)

    assert found["pairs"].value > 10.0
    assert found["residual"].value > found["residual"].expected + 20 * found["residual"].stderr
    text = JOINT.explained(part, USUAL, "pairs")
    assert text.startswith("a and b go together otherwise: correlation ")
    assert text.endswith("was 0.80") or text.endswith("was 0.79")
    (now,) = re.findall(r"correlation (-?\d\.\d\d),", text)
    assert float(now) == pytest.approx(correlation, abs=0.15)
    assert JOINT.explained(part, USUAL, "residual").split("most of all ")[1][:4] in ("a, b", "b, a")


def test_a_feature_on_another_level_is_no_other_pair() -> None:
    columns = related(MOST, 0.8, seed=3)
    columns["c0"] = columns["c0"] * 1.2

    assert told(sketched(columns))["pairs"].value < 4.0


def test_what_is_missing_is_not_compared() -> None:
    columns = related(MOST, 0.8, seed=4)
    columns["b"][:100] = np.nan
    del columns["c2"]

    found = told(sketched(columns))

    assert found["pairs"].value < 4.0
    assert np.isfinite(found["residual"].value)


def test_too_few_rows_say_nothing() -> None:
    assert told(sketched(related(29, 0.8))) == {}


def test_without_a_reference_that_knows_there_is_nothing_to_say() -> None:
    columns = related(MOST, 0.8)
    plain = reference({"a": columns["a"]})

    assert sketched(columns, None) == {}
    assert sketched(columns, plain) == {}
    assert told(sketched(columns), None) == {}
    assert told(sketched(columns), plain) == {}
    assert JOINT.explained(sketched(columns), plain, "pairs") == ""


def test_rows_coded_by_another_reference_are_not_read() -> None:
    other = reference(related(3_000, 0.8, seed=9))

    assert told(sketched(related(MOST, 0.8)), other) == {}


def test_features_of_few_values_and_features_twice_have_a_residual() -> None:
    random = np.random.default_rng(5)
    flag = random.integers(0, 2, 2_000).astype(np.float64)
    usual = reference({"a": flag, "b": flag, "c": random.normal(size=2_000)})
    now = {"a": flag[:200], "b": flag[::-1][:200], "c": random.normal(size=200)}

    still = told(sketched({"a": flag[:200], "b": flag[:200], "c": now["c"]}, usual), usual)
    found = told(sketched(now, usual), usual)

    assert still["residual"].value < 0.1
    assert found["residual"].value > 1.0


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(30, 600))
def test_odd_values_never_raise_and_give_finite_samples(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    frame = odd_predictions(random, n)
    profile = reference({name: np.resize(c, 400) for name, c in frame.numeric.items()})

    found = told(sketched(frame.numeric, profile), profile)

    assert all(np.isfinite(s.value) for s in found.values())
