"""The compiled clocks tell the same times as those in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from watchkeeper.daemon.core.clocks import Clocks
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors import fast
from watchkeeper.detectors.types import FloatArray

pytestmark = pytest.mark.skipif(not fast.available(), reason="needs the extra fast (numba)")

WIDTHS = (0.7, 60.0, 3_600.0)


def both(models: int) -> list[Clocks]:
    from watchkeeper.daemon.core.clocks_fast import CompiledClocks

    clocks = [Clocks(), CompiledClocks()]
    for each in clocks:
        for i in range(models):
            policy = ModelPolicy(window_s=WIDTHS[i % len(WIDTHS)], lateness_s=float(i % 4))
            each.begin(f"model-{i}", policy)
    return clocks


def times(random: np.random.Generator, now: float, n: int) -> FloatArray:
    """Times around now: most in order, some late, some far ahead, several of these in a row."""
    at = now + np.sort(random.random(n)) * 30 - np.where(random.random(n) < 0.1, 5_000, 0)
    ahead = np.repeat(random.random(n) < 0.03, random.integers(1, 9))[:n]
    at[ahead] += random.choice([400.0, 90_000.0])
    return np.asarray(np.round(at, 3) if random.random() < 0.5 else at)


@pytest.mark.parametrize(("models", "size"), [(1, 40), (3, 5), (50, 200), (400, 300)])
@pytest.mark.parametrize("seed", range(4))
def test_models_arrive_alike_however_they_are_mixed(models: int, size: int, seed: int) -> None:
    random = np.random.default_rng([models, seed])
    clocks, now = both(models), 1_700_000_000.0
    for _ in range(40):
        n = int(random.integers(1, size))
        model, at = random.integers(0, models, n), times(random, now, n)
        seq = np.arange(n) if random.random() < 0.5 else random.permutation(n)
        at.flags.writeable = False

        (late, closed), (late_too, closed_too) = (c.arrive(model, at, seq) for c in clocks)
        windows, windows_too = (c.windows(model, at) for c in clocks)

        assert late.tolist() == late_too.tolist()
        assert closed.tolist() == closed_too.tolist()
        for one, other in zip(windows, windows_too, strict=True):
            assert one.tolist() == other.tolist()
        if random.random() < 0.3:
            clock = now + float(random.choice([-400, 5, 40]))
            assert clocks[0].tick(clock).tolist() == clocks[1].tick(clock).tolist()
        for name, array in clocks[0].arrays.items():
            assert array.tolist() == clocks[1].arrays[name].tolist(), name
        now += float(random.choice([0.5, 20.0, 4_000.0], p=[0.6, 0.35, 0.05]))
    assert clocks[0].arrays["ahead"].max() >= 0


def test_columns_in_any_layout_are_taken() -> None:
    plain, compiled = both(2)
    at = np.arange(20.0)[::2]
    model = np.arange(10) % 2

    assert np.array_equal(
        plain.arrive(model, at, model).closed, compiled.arrive(model, at, model).closed
    )
