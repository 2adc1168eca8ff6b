"""River's binary drift detectors and its trees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.detectors.streams import fired, samples, steps
from watchkeeper.detectors.ddm import Ddm
from watchkeeper.detectors.half_space_trees import HalfSpaceTrees
from watchkeeper.detectors.hddm_a import HddmA
from watchkeeper.detectors.hddm_w import HddmW
from watchkeeper.detectors.types import Detector

BEFORE, AFTER = 400, 200


@pytest.mark.parametrize(("detector", "within"), [(HddmA, 60), (HddmW, 60), (Ddm, AFTER)])
def test_a_rise_is_found_and_nothing_before_it(
    detector: Callable[[], Detector], within: int
) -> None:
    noise = np.random.default_rng(4).normal(0, 1, BEFORE + AFTER)

    found = fired(detector(), samples(noise + steps((0, BEFORE), (3, AFTER))))

    assert found
    assert BEFORE < found[0] < BEFORE + within


@pytest.mark.parametrize("detector", [HddmA, HddmW])
def test_a_fall_is_found_as_well(detector: Callable[[], Detector]) -> None:
    noise = np.random.default_rng(5).normal(0, 1, BEFORE + AFTER)

    assert fired(detector(), samples(noise + steps((0, BEFORE), (-3, AFTER))))


def test_counting_errors_is_blind_for_a_fall() -> None:
    noise = np.random.default_rng(6).normal(0, 1, BEFORE + AFTER)

    assert not fired(Ddm(), samples(noise + steps((0, BEFORE), (-3, AFTER))))


def test_trees_find_windows_unlike_any_others_once_they_have_seen_enough() -> None:
    waves = np.sin(np.arange(900) / 5) + np.random.default_rng(7).normal(0, 0.05, 900)
    odd = np.where(np.arange(900) >= 880, 4.0, waves)

    found = fired(HalfSpaceTrees(alpha=0.002), samples(odd))

    assert found
    assert 880 <= found[-1] < 890
    assert not [at for at in fired(HalfSpaceTrees(alpha=0.002), samples(odd[:400])) if at < 560]
