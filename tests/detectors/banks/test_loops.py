"""Compiled loops judge and learn as NumPy does, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compiled import needs_kernels
from tests.detectors.banks.test_bank import WATCHES, same
from tests.detectors.banks.test_banks import SETTINGS, watches
from tests.detectors.banks.twins import bank_of, windows
from tests.examples import examples
from watchkeeper.detectors.banks import Columns
from watchkeeper.detectors.banks.sheet import Sitting
from watchkeeper.detectors.banks.shiryaev_roberts import EvidenceBank
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch

pytestmark = needs_kernels
ROWS = np.array([4, 0, 9])
COMPILED = sorted(SETTINGS)


def are_alike(watch: Watch, given: list[Columns], patch: pytest.MonkeyPatch) -> int:
    """Judges the windows both ways; how many findings there were."""
    columns = len(given[0].targets)
    loop, plain, found = bank_of(watch, columns), bank_of(watch, columns), 0
    for samples in given:
        sitting = Sitting.of(ROWS, [samples], columns)
        assert loop.judge_here(sitting, np.arange(columns), 0, samples)
        one = sitting.page.judged()
        with patch.context() as without:
            without.setenv("WATCHKEEPER_FAST", "0")
            other = plain.judge(ROWS, samples)
        same(one, other, slice(None))
        found += int(other.found.sum())
    assert loop.raw(ROWS).tobytes() == plain.raw(ROWS).tobytes()
    return found


@pytest.mark.parametrize("name", COMPILED)
def test_every_window_leaves_the_same_state(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, found = WATCHES[name], 0
    for seed in range(4):
        given = windows(np.random.default_rng(seed), watch, (3, 5), 150, odd=0.1 * (seed % 2))
        found += are_alike(watch, given, monkeypatch)

    assert found > 5


@pytest.mark.parametrize("watch", DEFAULT_WATCHES, ids=lambda w: f"{w.signal}-{w.detector}")
def test_the_default_suite_is_judged_alike(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    if watch.detector in COMPILED:
        given = windows(np.random.default_rng(7), watch, (3, 3), 120, odd=0.05)
        are_alike(watch, given, monkeypatch)


@pytest.mark.parametrize("name", COMPILED)
@given(data=st.data())
@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_setting_makes_a_difference(
    name: str, data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = data.draw(watches(name))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    odd = data.draw(st.sampled_from([0.0, 0.02, 0.3]))

    are_alike(watch, windows(random, watch, (3, 2), 50, odd=odd), monkeypatch)


@pytest.mark.parametrize("name", COMPILED)
def test_a_bank_finds_its_series_among_others(name: str) -> None:
    watch = WATCHES[name]
    one, other = bank_of(watch, 2), bank_of(watch, 2)
    for samples in windows(np.random.default_rng(3), watch, (3, 5), 100):
        mine = np.array([4, 1])
        first, rest = samples.pick(np.array([0, 1])), samples.pick(np.array([2, 3, 4]))
        sitting = Sitting.of(ROWS, [rest, first], 7)
        picked = samples.pick(mine)

        assert one.judge_here(sitting, np.array([2, 4]), 3, picked)

        same(sitting.page.judged(slice(3, 5)), other.judge(ROWS, picked), slice(None))
        assert not sitting.page.marks[:, :, [0, 1, 2, 5, 6]].any()


def test_evidence_is_weighed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = WATCHES["shiryaev_roberts_rate"]
    bank = bank_of(watch, 5)
    assert isinstance(bank, EvidenceBank)
    seen = set()
    for samples in windows(np.random.default_rng(1), watch, (3, 5), 200, odd=0.02):
        bank.judge(ROWS, samples)
        one = bank.weighed(ROWS)
        with monkeypatch.context() as without:
            without.setenv("WATCHKEEPER_FAST", "0")
            other = bank.weighed(ROWS)
        for here, there in zip(one, other, strict=True):
            np.testing.assert_array_equal(here, there, strict=True)
        seen |= set(one[1].ravel().tolist())

    assert len(seen) > 1  # series that are learning still, and others
