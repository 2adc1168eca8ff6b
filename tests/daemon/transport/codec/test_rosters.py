"""Models and versions keep their numbers from batch to batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from watchkeeper.daemon.transport.codec import rosters
from watchkeeper.daemon.transport.codec.rosters import LONGEST, Rosters
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.roster import Numbered
from watchkeeper.detectors.types import IntArray

Texts = tuple[bytes, IntArray, IntArray, IntArray]


def _texts(names: Sequence[str], keys: Sequence[int] | None = None) -> Texts:
    raw = [name.encode() for name in names]
    ends = np.cumsum([len(each) for each in raw])
    starts = ends - np.array([len(each) for each in raw])
    found = keys_of(names).view(np.int64) if keys is None else np.array(keys)
    return b"".join(raw), found, starts, ends


def _models(known: Rosters, *names: str) -> Numbered[str]:
    found = known.models(*_texts(names))
    assert found is not None
    return found


def _members(known: Rosters, models: Sequence[str], *pairs: tuple[int, str]) -> Numbered[Member]:
    versions = list(dict.fromkeys(version for _, version in pairs))
    buffer, keys, first, end = _texts(["".join(models), *versions])
    of = np.array([model for model, _ in pairs])
    which = np.array([versions.index(version) for _, version in pairs])
    named = _models(known, *models)
    found = known.members(buffer, named, (keys[1:], first[1:], end[1:]), (of, which))
    assert found is not None
    return found


def test_a_model_keeps_its_number_in_whatever_order_they_come() -> None:
    known = Rosters()
    first = _models(known, "churn", "fraud", "a-much-longer-name-of-a-model")
    again = _models(known, "fraud", "new", "churn", "é")
    assert tuple(again) == ("fraud", "new", "churn", "é")
    assert again.roster is first.roster
    assert again.numbers.tolist() == [1, 3, 0, 4]


def test_a_name_that_begins_like_another_is_another() -> None:
    known = Rosters()
    assert _models(known, "a", "ab", "abc") == ("a", "ab", "abc")
    assert _models(known, "abc", "a") == ("abc", "a")


def test_names_with_one_key_are_not_taken_for_each_other() -> None:
    known = Rosters()
    assert known.models(*_texts(["a"], [7])) == ("a",)
    assert known.models(*_texts(["b"], [7])) is None
    assert known.models(*_texts(["a"], [7])) == ("a",)


def test_a_name_that_is_too_long_has_no_number() -> None:
    known = Rosters()
    assert known.models(*_texts(["a", "b" * (LONGEST + 1)])) is None
    assert _models(known, "b" * LONGEST) == ("b" * LONGEST,)


def test_members_are_numbered_by_model_and_version() -> None:
    known = Rosters()
    first = _members(known, ["x", "y"], (0, "1"), (1, "1"), (1, "2"))
    again = _members(known, ["y", "x"], (0, "2"), (1, "2"), (1, "1"))
    assert first == (Member("x", "1"), Member("y", "1"), Member("y", "2"))
    assert tuple(again) == (Member("y", "2"), Member("x", "2"), Member("x", "1"))
    assert again.numbers.tolist() == [2, 3, 0]


def test_too_many_names_are_numbered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosters, "MOST", 3)
    known = Rosters()
    first = _models(known, "a", "b")
    again = _models(known, "c", "d")
    assert (first, again) == (("a", "b"), ("c", "d"))
    assert again.roster is not first.roster
    assert again.numbers.tolist() == [0, 1]


def test_a_handful_is_found_by_name_once_it_was_noted() -> None:
    known = Rosters()
    models = _models(known, "churn", "fraud")
    members = _members(known, ["churn", "fraud"], (0, "1"), (1, "1"))
    names, pairs = [b"churn", b"fraud"], [(b"churn", b"1"), (b"fraud", b"1")]
    assert known.few(names, pairs) is None

    known.note(names, pairs, (models, members))

    found = known.few(names[::-1], pairs[1:])
    assert found is not None
    assert found == (("fraud", "churn"), (Member("fraud", "1"),))
    assert found[0].numbers.tolist() == [1, 0]
    assert found[1].numbers.tolist() == [1]
    assert found[1].roster is members.roster
    assert known.few([b"new"], []) is None
    assert known.few(names, [(b"churn", b"2")]) is None


def test_what_was_noted_is_forgotten_where_all_are_numbered_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rosters, "MOST", 4)
    known = Rosters()
    models = _models(known, "a", "b")
    members = _members(known, ["a"], (0, "1"))
    known.note([b"a", b"b"], [(b"a", b"1")], (models, members))

    _models(known, "c", "d", "e")

    assert known.few([b"a"], []) is None
