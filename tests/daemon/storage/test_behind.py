"""Parts that are stored one behind the other are what they would be as one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.daemon.storage.examples import T0
from watchkeeper.daemon.storage import behind, columns
from watchkeeper.detectors.roster import Roster
from watchkeeper.detectors.texts import Words
from watchkeeper.detectors.types import FloatArray

NOTHING = np.full(3, np.nan)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([T0 + np.arange(5.0), T0 - np.arange(3.0)], id="near"),
        pytest.param([T0 + np.arange(5.0), T0 + 1e6 + np.arange(3.0)], id="far"),
        pytest.param([np.array([0.25]), T0 + np.arange(3.0)], id="since the epoch"),
    ],
)
def test_times_of_several_parts(parts: list[FloatArray]) -> None:
    whole = np.concatenate(parts)

    stored = behind.times(parts)

    assert stored == columns.Column(stored.form, stored.data, base=columns.times(whole).base)
    assert columns.read_reals(stored, len(whole)).tolist() == whole.tolist()


@pytest.mark.parametrize("parts", [[NOTHING, np.arange(2.0)], [np.arange(2.0), NOTHING], [NOTHING]])
def test_real_numbers_of_which_parts_are_missing(parts: list[FloatArray]) -> None:
    whole = np.concatenate(parts)

    stored = behind.reals(parts)

    np.testing.assert_array_equal(columns.read_reals(stored, len(whole)), whole)


def test_nothing_is_stored_where_no_part_has_anything() -> None:
    assert behind.reals([NOTHING, NOTHING]).data == b""
    assert behind.words([Words.missing(4)]).data == b""


@pytest.mark.parametrize("different", [3, 100, 300, 70_000])
def test_words_of_several_parts(different: int) -> None:
    texts = [f"w{i % different}" if i % 7 else None for i in range(different + 9)]
    parts = [Words.of(texts[:5]), Words.missing(2), Words.of(texts[5:]), Words.of(texts[::-1])]

    stored = columns.read_words(behind.words(parts), sum(map(len, parts)))

    assert stored.texts().tolist() == [each for part in parts for each in part.texts()]


@pytest.mark.parametrize("known", [True, False])
def test_places_among_names_of_a_roster_and_others(known: bool) -> None:
    roster: Roster[str] = Roster()
    for i in range(300):
        roster.add(f"m{i}")
    own = [roster.of(np.arange(i, i + 100)) for i in (200, 0, 150)]
    lists = own if known else [tuple(names) for names in own]
    codes = np.arange(100, dtype=np.int32)[::-1]

    names, place = behind.places([(each, codes) for each in lists])

    assert len(set(names)) == len(names) == 250
    assert [names[p] for p in place.tolist()] == [each[c] for each in own for c in codes.tolist()]
