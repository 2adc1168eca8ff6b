"""Names that keep their numbers, and what is looked up by them."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.blocks import Member, MemberRoster
from watchkeeper.detectors.gathered import merged_codes
from watchkeeper.detectors.roster import Common, Remembered, Roster


def _roster(names: str) -> Roster[str]:
    roster: Roster[str] = Roster()
    for name in names:
        roster.add(name)
    return roster


def test_names_are_those_of_their_numbers_however_many_there_are() -> None:
    roster: Roster[str] = Roster()
    for number in range(100):
        roster.add(f"m{number}")
    assert roster.of(np.array([99, 0, 17])) == ("m99", "m0", "m17")


def test_each_name_is_looked_up_once() -> None:
    roster, asked, known = _roster("abc"), [], Remembered[str]()

    def look_up(name: str) -> int:
        asked.append(name)
        return ord(name)

    assert known.of(roster.of(np.array([0, 1])), look_up).tolist() == [97, 98]
    assert known.of(roster.of(np.array([2, 1])), look_up).tolist() == [99, 98]
    assert asked == ["a", "b", "c"]


def test_what_is_not_known_is_looked_up_again() -> None:
    roster, known, rows = _roster("a"), Remembered[str](), dict[str, int]()
    names = roster.of(np.array([0]))
    assert known.of(names, lambda name: rows.get(name, -1)).tolist() == [-1]
    rows["a"] = 5
    assert known.of(names, lambda name: rows.get(name, -1)).tolist() == [5]


def test_what_all_names_have_is_known_without_a_look_at_each_block() -> None:
    roster, asked, common = _roster("ab"), list[str](), Common[str]()

    def look_up(name: str) -> int:
        asked.append(name)
        return 4

    assert common.of(roster, 3, look_up) == -1  # too few rows for it to be worth it
    assert [common.of(roster, 100, look_up) for _ in range(3)] == [4, 4, 4]
    roster.add("c")
    assert common.of(roster, 100, look_up) == 4
    assert asked == ["a", "b", "c"]
    assert common.of(_roster("d"), 100, {"d": 5}.__getitem__) == 5


def test_names_that_differ_or_have_none_have_nothing_in_common() -> None:
    roster, homes, common = _roster("ab"), {"a": 1, "b": 1, "c": 2}, Common[str]()

    assert common.of(roster, 100, homes.__getitem__) == 1
    roster.add("c")
    assert common.of(roster, 100, homes.__getitem__) == -1
    roster.add("d")
    assert common.of(roster, 100, lambda _: 1) == -1
    assert Common[str]().of(_roster("ad"), 100, lambda name: homes.get(name, -1)) == -1
    assert Common[str]().of(Roster[str](), 100, homes.__getitem__) == -1


def test_what_does_not_hold_any_more_is_looked_up_again() -> None:
    roster, known = _roster("a"), Remembered[str]()
    names = roster.of(np.array([0]))
    assert known.of(names, lambda _: 1).tolist() == [1]
    known.forget()
    assert known.of(names, lambda _: 2).tolist() == [2]


def test_another_roster_has_other_names() -> None:
    known = Remembered[str]()
    assert known.of(_roster("a").of(np.array([0])), ord).tolist() == [97]
    assert known.of(_roster("b").of(np.array([0])), ord).tolist() == [98]
    assert known.of(("c",), ord).tolist() == [99]


def test_names_of_one_roster_are_merged_as_others_are() -> None:
    roster = _roster("abcde")
    lists = [np.array([4, 2]), np.array([0, 2, 3])]
    codes = [np.array([0, 1, -1], dtype=np.int32), np.array([2, 1, 0], dtype=np.int32)]
    numbered = [(roster.of(each), code) for each, code in zip(lists, codes, strict=True)]
    plain = [(tuple(names), code) for names, code in numbered]
    names, merged = merged_codes(numbered)
    expected, codes_ = merged_codes(plain)
    assert names == expected == ("e", "c", "a", "d")
    assert merged.tolist() == codes_.tolist()


def test_members_have_the_models_that_they_are_of() -> None:
    models = _roster("ab")
    members = MemberRoster(models)
    for number in range(40):
        members.join(Member("ab"[number % 2], str(number)), number % 2)
    assert members.of(np.array([33])) == (Member("b", "33"),)
    assert members.models_of(np.array([33, 2])) == ("b", "a")
