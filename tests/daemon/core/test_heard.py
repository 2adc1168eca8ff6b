"""Which sources of labels a model tells apart: the ones that told most of late."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.daemon.core.heard import HALF_LIFE, REMEMBERED, Heard
from watchkeeper.detectors.signals.labels import OTHERS, SOURCES
from watchkeeper.handlers.rules.labels import MOST

Windows = Sequence[dict[str, int]]


def heard(windows: Windows, of: Heard | None = None, first: int = 0) -> Heard:
    found = Heard() if of is None else of
    for number, counts in enumerate(windows, first):
        found.hear(number, counts, sum(counts.values()))
    return found


def crowd(n: int, each: int = 20) -> dict[str, int]:
    return {f"s{i:02}": each for i in range(n)}


def test_a_few_sources_are_all_told_apart() -> None:
    found = heard([{"crew": 5, "vendor": 1, OTHERS: 9}])

    assert found.apart == ["crew", "vendor"]
    shares = [(r.name, r.share) for r in found.records()]
    assert shares == [("crew", 5 / 15), ("vendor", 1 / 15), (OTHERS, 9 / 15)]


def test_sources_that_are_not_told_apart_have_a_share_as_one() -> None:
    found = heard([{**crowd(100, 10), OTHERS: 2_000}] * 50)
    found.agree("1", OTHERS)

    found.hear(50, crowd(100, 10), 1_000)

    shares = {r.name: r.share for r in found.records()}
    assert shares[OTHERS] == pytest.approx(1.0 - (SOURCES - 1) * shares["s00"])
    assert shares[OTHERS] > MOST
    assert found.agreed == {OTHERS: {"1": 1}}


def test_one_that_is_told_apart_takes_its_labels_along() -> None:
    found = heard([crowd(SOURCES - 1), {**crowd(SOURCES - 1), "new": 30}])
    before = found.records()[-1]

    found.hear(2, {"new": 60}, 60)

    assert before.name == OTHERS
    assert before.share == pytest.approx(30 / 1_270, rel=0.01)
    share = {r.name: r.share for r in found.records()}
    assert share["new"] == pytest.approx(90 / 1_330, rel=0.01)
    assert share[OTHERS] == pytest.approx(40 / 1_330, rel=0.01)


def test_sources_of_equal_use_do_not_take_each_others_place() -> None:
    found = heard([crowd(2 * SOURCES)] * 50)

    assert found.apart == [f"s{i:02}" for i in range(SOURCES - 1)]


def test_the_least_used_gives_its_place_to_one_that_clearly_tells_more() -> None:
    found = heard([crowd(SOURCES - 1)])

    gone = found.hear(1, {"new": 35}, 35)
    assert gone == set()
    gone = found.hear(2, {"new": 35}, 35)

    assert gone == {"s30"}
    assert "new" in found.apart
    assert len(found.apart) == SOURCES - 1


def test_one_that_tells_nothing_any_more_is_forgotten() -> None:
    found = heard([{"crew": 1_000, "gone": 1}])

    gone = found.hear(2 * int(HALF_LIFE), {"crew": 1}, 1)

    assert gone == {"gone"}
    assert found.apart == ["crew"]


def test_windows_that_are_numbered_anew_are_heard_on() -> None:
    found = heard([{"crew": 100}], first=28_000_000)

    found.hear(5_600_000, {"crew": 10}, 10)

    assert (found.window, found.used, found.every) == (5_600_000, {"crew": 110.0}, 110.0)


def test_what_a_source_agreed_with_goes_with_it_and_with_the_version() -> None:
    found = heard([{"crew": 100, "gone": 1}])
    for source, version in (("crew", "1"), ("crew", "2"), ("gone", "1")):
        found.agree(version, source)
    found.rest = {"1": 60.0, "2": 60.0}

    found.hear(2 * int(HALF_LIFE), {"crew": 1}, 1)
    found.keep({"2"})

    assert found.agreed == {"crew": {"2": 1}}
    assert found.rest == {"2": 60.0}


@settings(max_examples=examples(50), deadline=None)
@given(
    st.lists(
        st.dictionaries(st.integers(0, 150).map("s{}".format), st.integers(1, 500), max_size=64),
        max_size=20,
    ),
    st.integers(0, 20),
)
def test_it_is_bounded_and_a_restart_changes_nothing(windows: Windows, stop: int) -> None:
    straight = heard(windows)
    stored = msgspec.msgpack.encode(msgspec.to_builtins(heard(windows[:stop])))
    resumed = heard(windows[stop:], msgspec.convert(msgspec.msgpack.decode(stored), Heard), stop)

    if stop <= len(windows):
        assert msgspec.to_builtins(resumed) == msgspec.to_builtins(straight)
    assert len(straight.apart) <= SOURCES - 1
    assert len(straight.used) <= REMEMBERED
    assert set(straight.apart) <= straight.used.keys()


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_names_does_not_matter(order: int) -> None:
    counts = dict(list(crowd(2 * SOURCES).items())[::order])

    assert heard([counts]).apart == heard([crowd(2 * SOURCES)]).apart
