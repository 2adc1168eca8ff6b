"""Names that others made up keep the rule, and stay different where they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.daemon.transport.codec.json import NAME
from watchkeeper.daemon.transport.codec.naming import named

PARTS = st.dictionaries(
    st.text(max_size=8),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=200),
    max_size=4,
)


@pytest.mark.parametrize("name", ["cpu", "system.memory-usage", "a/b", "x" * 128])
def test_a_name_that_keeps_the_rule_stays_as_it_is(name: str) -> None:
    assert named(name, {}) == name


def test_parts_follow_in_order_of_their_keys() -> None:
    assert (
        named("req", {"b": 1, "a": True}) == named("req", {"a": True, "b": 1}) == "req/a/true/b/1"
    )


def test_what_is_strange_is_replaced_and_marked() -> None:
    assert named("disk used %", {}).startswith("disk_used__-")
    assert named("a b", {}) != named("a_b", {})
    assert named("a b", {}) != named("a:b", {})


def test_a_slash_within_a_part_is_not_one_between_parts() -> None:
    assert named("x", {"a": "b/c/d"}) != named("x", {"a": "b", "c": "d"})


def test_long_names_are_cut_and_stay_apart() -> None:
    one, other = named("x" * 500, {}), named("x" * 501, {})

    assert len(one) == len(other) == 128
    assert one != other


@given(st.text(max_size=200), PARTS)
def test_every_name_keeps_the_rule(name: str, parts: dict[str, object]) -> None:
    found = named(name, parts)

    assert NAME.fullmatch(found)
    assert named(name, dict(reversed(parts.items()))) == found
