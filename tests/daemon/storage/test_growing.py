"""Columns that grew part by part are what they would be of all at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.daemon.storage.examples import ODD, T0
from watchkeeper.daemon.storage import columns
from watchkeeper.daemon.storage.growing import Growing, Named, Reals, Texts, Times
from watchkeeper.detectors.roster import Roster
from watchkeeper.detectors.texts import Words
from watchkeeper.detectors.types import FloatArray

NOTHING = np.full(3, np.nan)
models: Roster[str] = Roster()
for number in range(300):
    models.add(f"m{number}")


def reals(parts: list[FloatArray]) -> Reals:
    grown = Reals()
    for part in parts:
        grown.add(part, 1)
    return grown


def texts(parts: list[Words]) -> Texts:
    grown = Texts()
    for part in parts:
        grown.add(part, 1)
    return grown


def each_name(grown: Named[str]) -> list[str]:
    names, places, counts = grown.settled()
    assert len(set(names)) == len(names)
    assert counts.tolist() == [places.tolist().count(place) for place in range(len(names))]
    return [names[place] for place in places.tolist()]


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

    grown = Times()
    for part in parts:
        grown.add(part, 4)

    stored = grown.column()

    assert stored == columns.Column(stored.form, stored.data, base=columns.times(whole).base)
    assert columns.read_reals(stored, len(whole)).tolist() == whole.tolist()
    assert grown.ends() == (whole.min(), whole.max())


@pytest.mark.parametrize("parts", [[NOTHING, np.arange(2.0)], [np.arange(2.0), NOTHING], [NOTHING]])
def test_real_numbers_of_which_parts_are_missing(parts: list[FloatArray]) -> None:
    whole = np.concatenate(parts)

    stored = reals(parts).column()

    np.testing.assert_array_equal(columns.read_reals(stored, len(whole)), whole)


SHORT = {
    "<i2": np.round(np.linspace(0.0, 1.0, 200), 4),
    "<i4": np.round(np.linspace(-90.0, 2_000.0, 200), 6),
    "<f4": np.linspace(0.0, 1.0, 200).astype(np.float32).astype(np.float64),
    "<f8": np.linspace(0.0, 1.0, 200),
}


@pytest.mark.parametrize("last", SHORT)
@pytest.mark.parametrize("first", SHORT)
@pytest.mark.parametrize("gap", [[], [NOTHING]])
def test_real_numbers_become_longer_only_when_they_must(
    first: str, last: str, gap: list[FloatArray]
) -> None:
    parts = [*gap, SHORT[first], *gap, SHORT[last]]
    whole = np.concatenate(parts)

    stored = reals(parts).column()

    assert columns.read_reals(stored, len(whole)).tobytes() == whole.tobytes()
    wholes = {"<i2", "<i4"}
    assert stored.form[-3:] == (
        first if first == last else "<i4" if {first, last} == wholes else "<f8"
    )


@given(
    st.lists(hnp.arrays(np.float64, st.integers(1, 9), elements=st.sampled_from(ODD)), max_size=4)
)
def test_any_real_numbers_come_back_to_the_last_bit(parts: list[FloatArray]) -> None:
    whole = np.concatenate([*parts, NOTHING])

    stored = reals([*parts, NOTHING]).column()

    assert columns.read_reals(stored, len(whole)).tobytes() == whole.tobytes()


def test_nothing_is_stored_where_no_part_has_anything() -> None:
    unused = Words(np.full(3, -1, dtype=np.int32), ("yes",))

    assert reals([NOTHING, NOTHING]).column().data == b""
    assert texts([Words.missing(4), unused]).column().data == b""


@pytest.mark.parametrize("different", [3, 100, 300, 70_000])
def test_words_of_several_parts(different: int) -> None:
    all_ = [f"w{i % different}" if i % 7 else None for i in range(different + 9)]
    parts = [Words.of(all_[:5]), Words.missing(2), Words.of(all_[5:]), Words.of(all_[::-1])]

    stored = columns.read_words(texts(parts).column(), sum(map(len, parts)))

    assert stored.texts().tolist() == [each for part in parts for each in part.texts()]


@pytest.mark.parametrize("known", [(True,) * 3, (False,) * 3, (True, False, True)])
def test_names_of_a_roster_and_others(known: tuple[bool, ...]) -> None:
    own = [models.of(np.arange(i, i + 100)) for i in (200, 0, 150)]
    codes = np.arange(100, dtype=np.int32)[::-1]
    grown: Named[str] = Named()

    for names, numbered in zip(own, known, strict=True):
        grown.add(names if numbered else tuple(names), codes, 1)

    assert each_name(grown) == [name for each in own for name in each[::-1]]
    assert len(grown.settled()[0]) == 250


def test_names_of_two_rosters_are_told_apart() -> None:
    other: Roster[str] = Roster()
    for name in ("m1", "new", "m0"):
        other.add(name)
    grown: Named[str] = Named()

    for names in (models.of(np.arange(2)), other.of(np.arange(3)), models.of(np.arange(3))):
        grown.add(names, np.arange(len(names), dtype=np.int32), 1)

    assert each_name(grown) == [*("m0", "m1"), *("m1", "new", "m0"), *("m0", "m1", "m2")]


def test_a_roster_may_grow_meanwhile() -> None:
    more: Roster[str] = Roster()
    more.add("a")
    grown: Named[str] = Named()
    grown.add(more.of(np.array([0])), np.zeros(70, dtype=np.int32), 1)

    for i in range(200):
        more.add(f"b{i}")
    grown.add(more.of(np.array([200, 0])), np.arange(2, dtype=np.int32), 1)

    assert each_name(grown) == ["a"] * 70 + ["b199", "a"]
    assert grown.settled()[0] == ("a", "b199")


@pytest.mark.parametrize("numbered", [True, False])
def test_a_single_name_is_enough(numbered: bool) -> None:
    one = models.of(np.array([7]))
    grown: Named[str] = Named()

    grown.add(one if numbered else tuple(one), np.zeros(9, dtype=np.int32), 9)

    assert each_name(grown) == ["m7"] * 9


@pytest.mark.parametrize("most", [0, 100, 10**6])
def test_there_is_room_for_what_comes_and_not_for_much_more(most: int) -> None:
    grown = Growing(np.int64)

    for i in range(0, 10_000, 10):
        grown.more(10, most)[:] = np.arange(i, i + 10)

    assert grown.all.tolist() == [*range(10_000)]
    assert grown.all.base is not None
    assert len(grown.all.base) <= (4 if most > 10_000 else 1.3) * 10_000
