"""A bank finds what one detector a series finds, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detectors.banks.twins import Alone, bank_of, by_bank, windows
from tests.examples import examples
from watchkeeper.detectors.banks import Columns, bank_for
from watchkeeper.detectors.registry import detector_names
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch

ROWS = np.array([40, 0, 7])
SHAPE = 3, 2

_LEVEL: dict[str, st.SearchStrategy[Any]] = {
    "for_windows": st.integers(1, 4),
    "min_n": st.integers(0, 50),
}
_SCORE = {
    **_LEVEL,
    "direction": st.sampled_from(["up", "down", "either"]),
    "threshold": st.floats(0.01, 8.0),
    "min_change": st.sampled_from([0.0, 0.02, 5.0, float("inf")]),
    "min_ratio": st.sampled_from([0.0, 0.1, 2.0]),
    "share": st.booleans(),
    "log": st.booleans(),
}
_SHARE = st.floats(1e-12, 0.999)
SETTINGS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "threshold": {**_LEVEL, "above": st.floats(), "below": st.floats()},
    "ewma": {
        **_SCORE,
        "weight": _SHARE,
        "warm_up": st.integers(1, 30),
        "memory": st.integers(1, 60),
    },
    "reference_z": {**_SCORE, "min_effect": st.floats(0.0, 2.0)},
    "robust_z": {
        **_SCORE,
        "memory": st.integers(1, 40),
        "warm_up": st.integers(1, 50),
    },
    "seasonal": {**_SCORE, "min_hours": st.floats(0.1, 5.0), "weeks": st.integers(1, 5)},
    "silence": {
        **_LEVEL,
        "alpha": _SHARE,
        "patience": st.floats(0.1, 5.0),
        "warm_up": st.integers(1, 40),
    },
    "psi": {**_LEVEL, "alpha": _SHARE, "min_effect": st.floats(0.0, 1.0)},
    "shiryaev_roberts_rate": {
        **_LEVEL,
        "average_run_length": st.floats(3.0, 1e6),
        "series": st.integers(1, 20),
        "direction": st.sampled_from(["up", "down", "either"]),
        "against": st.sampled_from(["history", "reference"]),
        "min_change": st.sampled_from([0.0, 0.02]),
        "min_ratio": st.sampled_from([0.0, 0.1]),
        "warm_up": st.integers(1, 400),
        "memory": st.integers(1, 100_000),
    },
}


@st.composite
def watches(draw: st.DrawFn, name: str) -> Watch:
    """A watch of this detector with some of its settings."""
    chosen = draw(st.fixed_dictionaries({}, optional=SETTINGS[name]))
    numbers = {k: v for k, v in chosen.items() if v == v}
    return Watch(signal="signal", detector=name, settings=numbers)


def find_the_same(watch: Watch, given: list[Columns]) -> int:
    """Judges the windows both ways; how many findings there were."""
    bank, alone, found = bank_of(watch, len(given[0].targets)), Alone(watch), 0
    for samples in given:
        expected = alone.judge(ROWS, samples)
        assert by_bank(bank, watch, ROWS, samples) == expected
        found += len(expected)
    return found


# A stretch is hours long: each model that asks for them has detectors of its own.
_OFTEN = [watch for watch in DEFAULT_WATCHES if watch.signal != "stretch"]


@pytest.mark.parametrize("watch", _OFTEN, ids=lambda w: f"{w.signal}-{w.detector}")
def test_the_default_suite_finds_the_same(watch: Watch) -> None:
    for seed in range(2):
        random = np.random.default_rng(seed)
        find_the_same(watch, windows(random, watch, SHAPE, 150, odd=[0.0, 0.05][seed]))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_there_is_something_to_find(name: str) -> None:
    watch = Watch(signal="signal", detector=name, settings={"min_n": 0})
    if name == "threshold":
        watch = Watch(signal="signal", detector=name, settings={"above": 20.0})
    found = [
        find_the_same(watch, windows(np.random.default_rng(seed), watch, SHAPE, 200))
        for seed in range(4)
    ]

    assert sum(found) > 10


@pytest.mark.parametrize("name", SETTINGS)
@given(data=st.data())
@settings(max_examples=examples(15), deadline=None)
def test_it_finds_the_same_whatever_the_settings(name: str, data: st.DataObject) -> None:
    watch = data.draw(watches(name))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    odd = data.draw(st.sampled_from([0.0, 0.02, 0.3]))

    find_the_same(watch, windows(random, watch, SHAPE, 60, odd=odd))


_NUMBERS = st.one_of(st.floats(), st.sampled_from([0.0, 0.1, 0.5, 1.0, 60.0]))
_SAMPLES = st.tuples(
    st.booleans(), _NUMBERS, st.sampled_from([0, 1, 30, 10**6]), _NUMBERS, _NUMBERS
)


@pytest.mark.parametrize("name", SETTINGS)
@given(data=st.data())
@settings(max_examples=examples(25), deadline=None)
def test_it_finds_the_same_in_any_numbers(name: str, data: st.DataObject) -> None:
    watch = data.draw(watches(name))
    rows = data.draw(st.lists(st.tuples(_SAMPLES, _SAMPLES, _SAMPLES), min_size=1, max_size=25))

    find_the_same(watch, [_column(place, row) for place, row in enumerate(rows)])


def _column(place: int, samples: tuple[Any, ...]) -> Columns:
    given, value, n, stderr, expected = (
        np.array(each)[:, None] for each in zip(*samples, strict=True)
    )
    counts = np.array([[k * (i + 1) % 97 for i in range(5)] for k in n[:, 0].tolist()])[:, None]
    start = np.full(len(ROWS), 60.0 * place)
    return Columns(
        "signal",
        ("t",),
        start,
        start + 60.0,
        given,
        value,
        n,
        stderr,
        expected,
        counts,
        counts[::-1],
    )


def test_other_detectors_have_no_bank() -> None:
    names = [n for n in detector_names() if bank_for(Watch(signal="s", detector=n), 1) is not None]

    others = ["shiryaev_roberts", "shiryaev_roberts_counts"]  # with tests of their own
    assert names == sorted([*SETTINGS, *others])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ewma", {"memory": 2**40}),
        ("ewma", {"for_windows": 5_000}),
        ("robust_z", {"memory": 100_000}),
    ],
)
def test_state_without_bound_has_no_bank(name: str, settings: dict[str, int]) -> None:
    assert bank_for(Watch(signal="s", detector=name, settings=dict(settings)), 1) is None
