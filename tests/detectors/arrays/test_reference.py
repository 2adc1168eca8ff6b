"""References in arrays: counts are kept small, and read in a type in which they add up."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.detectors.arrays.examples import profile
from watchkeeper.detectors.arrays.rates import stability
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.profile import BINS, Profile

SMALL_MOST = 65_535


def counting(each: int) -> Profile:
    """A reference of which every bin of the first column holds so many."""
    made = profile(np.random.default_rng(1), "m")
    first = msgspec.structs.replace(
        made.numeric[0],
        n=each * BINS,
        edges=tuple(float(edge) for edge in range(BINS - 1)),
        counts=(each,) * BINS,
    )
    return msgspec.structs.replace(made, numeric=(first, *made.numeric[1:]))


def test_counts_of_two_bytes_add_up_to_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHKEEPER_FAST", "0")
    given = counting(3_000)  # 96,000 in all
    references = References(Schema.of(given))
    rows = np.array([references.add(given)])
    here = np.full((1, 1, BINS), 5, dtype=np.int32)

    expected = references.read("counts", rows)[:, :1]
    measured = stability(here, expected, np.ones((1, 1), dtype=np.bool_))

    exact = stability(here, expected.astype(np.int64), np.ones((1, 1), dtype=np.bool_))
    assert references.arrays["counts"].itemsize == 2
    assert measured.stderr[0, 0] == exact.stderr[0, 0]
    assert measured.expected[0, 0] == (BINS - 1) * (1 / 160 + 1 / 96_000)


@pytest.mark.parametrize("most", [SMALL_MOST, SMALL_MOST + 1, 2_000_000])
def test_a_large_count_changes_no_other_reference(most: int) -> None:
    small, large = counting(7), counting(most)
    references = References(Schema.of(small))
    before = references.add(small)

    added = references.add(large)
    after = references.add(small)

    read = references.read("counts", np.array([before, added, after]))[:, 0]
    assert read[0].tolist() == read[2].tolist() == [7] * BINS
    assert read[1].tolist() == [most] * BINS
    assert references.arrays["counts"].itemsize == (2 if most <= SMALL_MOST else 4)


def test_rows_that_come_later_have_room_for_large_counts() -> None:
    large = counting(1_000_000)
    references = References(Schema.of(large))

    rows = np.array([references.add(large) for _ in range(9)])

    assert (references.read("counts", rows)[:, 0] == 1_000_000).all()


@pytest.mark.parametrize("edge", [0.1, 1.0 + 2.0**-30, 1e39, 1e-50, -1.7e9 - 0.5])
def test_an_edge_of_many_digits_is_kept_to_the_last(edge: float) -> None:
    short = counting(7)
    first = short.numeric[0]
    edges = tuple(sorted({*first.edges[1:], edge}))
    long = msgspec.structs.replace(
        short, numeric=(msgspec.structs.replace(first, edges=edges), *short.numeric[1:])
    )
    references = References(Schema.of(short))
    before = references.add(short)
    kept = references.arrays["edges"].itemsize

    added = references.add(long)
    after = references.add(short)

    held = references.arrays["edges"][:, 0]
    assert held[before].tolist() == held[after].tolist() == list(first.edges)
    assert held[added].tolist() == list(edges)
    assert (kept, held.itemsize) == (4, 8)
