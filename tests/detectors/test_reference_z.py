"""Distance from the reference."""

from __future__ import annotations

import numpy as np

from tests.detectors.streams import fired, samples, shares, steps
from watchkeeper.detectors.reference_z import ReferenceZ


def test_it_needs_neither_past_nor_warm_up() -> None:
    found = ReferenceZ().update(samples([1.0, 1.6], stderr=0.1, expected=1.0))

    assert [(f.value, f.expected, f.direction) for f in found] == [(1.6, 1.0, "up")]


def test_a_feature_missing_in_three_rows_of_ten_is_found_at_once_and_to_the_end() -> None:
    p = steps((0.02, 500), (0.3, 60), (0.02, 100))
    detector = ReferenceZ(share=True, direction="up", threshold=4.0, for_windows=2, min_change=0.05)

    found = fired(detector, shares(np.random.default_rng(1), p, 200, expected=0.02))

    assert found == list(range(501, 560))


def test_a_share_that_was_never_seen_is_judged_without_a_division_by_zero() -> None:
    given = samples([0.0, 1.0], stderr=0.0, expected=0.0)

    assert fired(ReferenceZ(share=True), given) == [1]


def test_without_a_reference_or_an_error_it_says_nothing() -> None:
    assert fired(ReferenceZ(), samples([100.0], stderr=0.1)) == []
    assert fired(ReferenceZ(), samples([100.0], expected=0.0)) == []


def test_many_events_do_not_make_a_small_shift_matter() -> None:
    given = samples([0.2, 0.3], n=1_000_000, stderr=0.001, expected=0.0)

    assert fired(ReferenceZ(min_effect=0.25), given) == [1]


def test_only_the_bad_direction_fires() -> None:
    given = samples([0.0, 2.0], stderr=0.1, expected=1.0)

    assert fired(ReferenceZ(direction="up"), given) == [1]
    assert fired(ReferenceZ(direction="down"), given) == [0]


def test_chance_alone_does_not_fire() -> None:
    given = shares(np.random.default_rng(2), np.full(50_000, 0.02), 100, expected=0.02)

    detector = ReferenceZ(share=True, threshold=4.0, for_windows=2)

    assert fired(detector, given) == []
