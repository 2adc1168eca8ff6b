from __future__ import annotations

import re

import pytest

from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.handlers.rules.known_attacks import KNOWN_ATTACKS, recognised


@pytest.mark.parametrize(
    ("signs", "owasp", "atlas"),
    [
        ({"boundary"}, "ML01", "T0043.001"),
        ({"boundary", "repeats"}, "ML01", "T0042"),
        ({"answers"}, "ML05", "T0024.002"),
        ({"repeats"}, "ML04", "T0024.000"),
        ({""}, "ML05", "T0029"),
        ({"success"}, "ML01", "T0015"),
    ],
)
def test_signs_are_named_as_elsewhere(signs: set[str], owasp: str, atlas: str) -> None:
    (found,) = recognised(signs)

    assert owasp in found.known_as
    assert atlas in found.known_as


def test_a_sign_is_explained_once() -> None:
    found = recognised({"", "boundary", "repeats"})

    assert [sorted(each.signs) for each in found] == [["boundary", "repeats"], [""]]


def test_no_signs_are_no_attack() -> None:
    assert recognised(set()) == []


def test_every_sign_is_watched_and_every_watch_is_a_sign() -> None:
    watched = {each.target for each in DEFAULT_WATCHES if each.signal == "clients"}

    assert set().union(*(each.signs for each in KNOWN_ATTACKS)) == watched


def test_names_have_the_form_of_their_lists() -> None:
    for each in KNOWN_ATTACKS:
        assert all(re.match(r"ML\d\d [A-Z]", name) for name in each.owasp)
        assert all(re.match(r"T\d{4}(\.\d{3})? [a-z]", name) for name in each.atlas)
