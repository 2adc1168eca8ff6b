"""Banks of evidence make the decisions of one detector a series, to the last bit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.detectors.banks.twins import Alone, bank_of, by_bank, windows
from tests.detectors.streams import fired, shares, steps
from watchkeeper.detectors.banks import Columns
from watchkeeper.detectors.banks.shiryaev_roberts import EvidenceBank
from watchkeeper.detectors.frames import IntArray
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.sequential import Calibration
from watchkeeper.detectors.sequential.detector import EvidenceDetector
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Scalar, Severity, StateError

SOON: dict[str, Scalar] = {"average_run_length": 30.0}
WATCHES = {
    "values": Watch(
        signal="s", detector="shiryaev_roberts", settings=SOON | {"warm_up": 20, "min_n": 0}
    ),
    "values up": Watch(
        signal="s",
        detector="shiryaev_roberts",
        settings=SOON | {"warm_up": 25, "direction": "up", "min_ratio": 0.1, "for_windows": 2},
    ),
    "rate": Watch(signal="s", detector="shiryaev_roberts_rate", settings=SOON),
    "rate against the reference": Watch(
        signal="s",
        detector="shiryaev_roberts_rate",
        settings=SOON | {"against": "reference", "min_change": 0.01},
    ),
    "rate with a floor": Watch(
        signal="s", detector="shiryaev_roberts_rate", settings=SOON | {"min_change": 0.05}
    ),
    "counts": Watch(signal="s", detector="shiryaev_roberts_counts", settings=SOON),
}
every_watch = pytest.mark.parametrize("watch", WATCHES.values(), ids=WATCHES)
ROWS: IntArray = np.array([3, 0])


def stream(watch: Watch, seed: int, rows: int, count: int) -> list[Columns]:
    shaped = Watch(signal="s", detector="psi") if watch.detector.endswith("counts") else watch
    return windows(np.random.default_rng(seed), shaped, (rows, 2), count)


@every_watch
@pytest.mark.parametrize("seed", range(3))
def test_a_bank_finds_what_detectors_find(watch: Watch, seed: int) -> None:
    bank, alone, found = bank_of(watch, 2), Alone(watch), 0
    for place, samples in enumerate(stream(watch, seed, 2, 120)):
        if place % 30 == 29:
            kept = [bank.dump(row) for row in ROWS.tolist()]
            bank = bank_of(watch, 2)
            for row, stored in zip(ROWS.tolist(), kept, strict=True):
                bank.load(row, stored)

        mine = by_bank(bank, watch, ROWS, samples)

        assert mine == alone.judge(ROWS, samples)
        found += len(mine)
    assert found or seed


@every_watch
def test_a_row_among_many_is_judged_as_if_alone(watch: Watch) -> None:
    crowd, single = bank_of(watch, 2), bank_of(watch, 2)
    for samples in stream(watch, 5, 40, 60):
        crowd.judge(np.arange(40), samples)
        single.judge(np.array([0]), samples.take(slice(7, 8)))

    assert crowd.raw(np.array([7])).tobytes() == single.raw(np.array([0])).tobytes()


@every_watch
def test_damaged_state_is_refused(watch: Watch) -> None:
    bank = bank_of(watch, 2)
    for samples in stream(watch, 6, 2, 40):
        bank.judge(ROWS, samples)
    whole = bank.dump(3)

    for spoiled in (whole[:-1], whole + bytes(8), whole[:8] + b"\xff" * (len(whole) - 8)):
        with pytest.raises(StateError):
            bank.load(3, spoiled)

    assert bank.dump(3) == whole


@every_watch
def test_evidence_is_shown_beside_its_level(watch: Watch) -> None:
    bank = bank_of(watch, 2)
    assert isinstance(bank, EvidenceBank)
    for samples in stream(watch, 8, 2, 90):
        judged = bank.judge(ROWS, samples)

        shown = bank.evidence(ROWS)

        assert np.isfinite(shown).all()
        np.testing.assert_array_equal(judged.statistic[judged.found], shown[judged.found])
    assert bank.level == math.log(30.0)
    assert set(bank.calibrated(ROWS).ravel().tolist()) <= {0, 1, 2}


def test_findings_are_as_rare_as_asked_for_and_end() -> None:
    watch = Watch(signal="s", detector="shiryaev_roberts", settings={"average_run_length": 300.0})
    random, bank, rows = np.random.default_rng(11), bank_of(watch, 2), np.arange(50)
    calm = windows(np.random.default_rng(9), watch, (50, 2), 1, odd=0.0)[0]
    before, begun, firing, count = np.zeros((50, 2), dtype=np.bool_), 0, 0, 1_200
    for _ in range(count):
        value = random.lognormal(size=(50, 2))
        found = bank.judge(rows, replace(calm, value=value, n=calm.n * 0 + 300)).found
        begun, firing = begun + int((found & ~before).sum()), firing + int(found.sum())
        before = found

    assert 0.85 < 100 * count / begun / 300 < 1.6
    assert firing / (100 * count) < 0.1


@pytest.mark.parametrize("name", ["shiryaev_roberts", "shiryaev_roberts_rate"])
def test_a_finding_lasts_as_long_as_its_fault(name: str) -> None:
    detector = make(name, {}, Severity.WARNING)
    rates = steps((0.1, 400), (0.3, 60), (0.1, 60))

    places = fired(detector, shares(np.random.default_rng(12), rates, 300))

    assert 400 <= places[0] <= 405
    assert set(range(410, 460)) <= set(places)
    assert places[-1] < 480
    assert isinstance(detector, EvidenceDetector)
    assert detector.calibrated is not Calibration.LEARNING


@every_watch
def test_an_heir_continues_in_another_bank(watch: Watch) -> None:
    old, new = bank_of(watch, 2), bank_of(watch, 2)
    given = stream(watch, 7, 2, 100)
    for samples in given[:60]:
        old.judge(ROWS, samples)
    new.inherit(1, 3, old)
    for samples in given[60:]:
        first = samples.take(slice(0, 1))
        assert (
            by_bank(new, watch, np.array([1]), first)[0:1]
            == [each for each in _as_row(by_bank(old, watch, np.array([3]), first)) if each][0:1]
        )


def _as_row(found: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(each.replace("model-3", "model-1") for each in one) for one in found]
