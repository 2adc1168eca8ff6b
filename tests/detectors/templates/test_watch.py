from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.detectors.templates import counts
from watchkeeper.detectors.templates.counts import FormCounts
from watchkeeper.detectors.templates.watch import (
    FOUND,
    MIX_TARGET,
    NEW,
    NEW_TARGET,
    RATE,
    TESTS,
    VANISHED,
    LogWatch,
    Watched,
)
from watchkeeper.detectors.types import Finding, Severity, StateError, Window

USUAL = {
    "answered request %d": 40.0,
    "opened file %d for reading": 20.0,
    "cache miss of key %d": 8.0,
    "worker %d: out of memory": 1.0,
}
LEARNED = 150


def window(k: int) -> Window:
    return Window(60.0 * k, 60.0 * k + 60.0)


def close(watch: LogWatch, k: int, lines: Sequence[str]) -> Watched:
    errors = ["memory" in line or "panic" in line for line in lines]
    return watch.close("m", "1", window(k), FormCounts.of(lines, errors))


def usual(k: int, **times: float) -> list[str]:
    """The lines of window k; `times` says of a statement's first word how much oftener it comes."""
    rng = np.random.default_rng(k)
    rates = [rate * times.get(said.split()[0], 1.0) for said, rate in USUAL.items()]
    drawn = zip(USUAL, rng.poisson(rates), strict=True)
    return [said % i for said, n in drawn for i in range(n)] + ["heartbeat of node 7"]


@pytest.fixture(scope="module")
def learned() -> Callable[[], LogWatch]:
    watch = LogWatch()
    for k in range(LEARNED):
        assert close(watch, k, usual(k)).findings == []
    state = msgspec.msgpack.encode(watch.state())

    def fresh() -> LogWatch:
        again = LogWatch()
        again.restore(msgspec.msgpack.decode(state))
        return again

    return fresh


Learned = Callable[[], LogWatch]


def until_found(
    watch: LogWatch, lines: Callable[[int], list[str]], detector: str, most: int = 60
) -> tuple[int, Finding, Watched]:
    """How many windows it takes, with the finding."""
    for k in range(LEARNED, LEARNED + most):
        watched = close(watch, k, lines(k))
        for finding in watched.findings:
            if finding.detector == detector:
                return k - LEARNED + 1, finding, watched
    raise AssertionError(f"no {detector} in {most} windows")


def test_a_new_template_is_noted_with_a_line_to_show(learned: Learned) -> None:
    watched = close(learned(), LEARNED, [*usual(LEARNED), "quota of ann@example.com is used up"])

    (finding,) = watched.findings
    said = watched.said[finding.series.target]
    assert (finding.detector, finding.severity) == (NEW, Severity.INFO)
    assert finding.value == 1
    assert said.template == "quota of <*> is used up"
    assert said.examples == ("quota of *** is used up",)


def test_nothing_is_new_while_it_is_learned() -> None:
    watch = LogWatch(learn=5)

    found = [close(watch, k, [f"{'abcdefgh'[k]} said"]).findings for k in range(8)]

    assert [bool(each) for each in found] == [False] * 5 + [True] * 3


def test_a_burst_of_new_templates_warns(learned: Learned) -> None:
    strange = [f"{word} went wrong" for word in ("pump", "valve", "engine", "brake", "door")]

    watched = close(learned(), LEARNED, [*usual(LEARNED), *strange])

    warned = [each for each in watched.findings if each.severity is Severity.WARNING]
    assert [each.series.target for each in warned] == [NEW_TARGET]
    assert warned[0].value == 5
    assert set(watched.said[NEW_TARGET].examples) <= set(strange)


def test_a_few_new_errors_warn_sooner(learned: Learned) -> None:
    def of(word: str) -> list[Severity]:
        strange = [f"disk {word} on a", f"pump {word} on b", f"valve {word} on c"]
        found = close(learned(), LEARNED, [*usual(LEARNED), *strange]).findings
        return [each.severity for each in found]

    assert Severity.WARNING in of("panic")


def test_a_template_that_comes_oftener_is_found(learned: Learned) -> None:
    took, finding, watched = until_found(learned(), lambda k: usual(k, cache=5.0), RATE)

    assert took <= 6
    assert finding.statistic > finding.threshold
    assert finding.direction == "up"
    assert finding.value > 2 * finding.expected
    assert watched.said[finding.series.target].template == "cache miss of key <*>"
    assert watched.said[finding.series.target].examples


def test_a_template_that_comes_less_often_is_found(learned: Learned) -> None:
    took, finding, _ = until_found(learned(), lambda k: usual(k, opened=0.3), RATE)

    assert took <= 10
    assert finding.direction == "down"


def test_an_error_that_comes_oftener_warns(learned: Learned) -> None:
    _, finding, _ = until_found(learned(), lambda k: usual(k, worker=12.0), RATE)

    assert finding.severity is Severity.WARNING


def test_ten_times_the_load_is_no_news_of_any_template(learned: Learned) -> None:
    watch, all_ = learned(), dict.fromkeys((said.split()[0] for said in USUAL), 3.0)

    found = [
        finding.series.target
        for k in range(LEARNED, LEARNED + 30)
        for finding in close(watch, k, [*usual(k, **all_), *["heartbeat of node 7"] * 2]).findings
    ]

    assert found == []


def test_the_statistic_says_how_much_evidence_there_was(learned: Learned) -> None:
    def of(times: float) -> Finding:
        return until_found(learned(), lambda k: usual(k, cache=times), RATE)[1]

    found = [of(2.0), of(20.0)]

    assert {each.threshold for each in found} == {math.log10(TESTS * LogWatch().budget)}
    assert all(each.statistic >= each.threshold for each in found)
    assert found[0].statistic != found[1].statistic


@pytest.mark.slow
def test_the_budget_is_that_of_all_tests_together() -> None:
    budget, windows, alarms = 50.0, 1_500, 0
    watch, on = LogWatch(budget=budget), False
    for k in range(windows):
        now = bool(close(watch, k, usual(k)).findings)
        alarms, on = alarms + (now and not on), now

    assert alarms <= windows / budget


def test_a_heartbeat_that_stops_is_missed_and_comes_back(learned: Learned) -> None:
    watch = learned()
    took, finding, watched = until_found(watch, lambda k: usual(k)[:-1], VANISHED)

    assert took <= 5
    assert finding.since == LEARNED * 60.0
    assert finding.value == 0
    assert watched.said[finding.series.target].examples == ("heartbeat of node 7",)
    after = LEARNED + took
    assert [each.detector for each in close(watch, after, usual(after)[:-1]).findings] == [VANISHED]
    assert close(watch, after + 1, usual(after + 1)).findings == []


def test_a_change_that_stays_becomes_normal(learned: Learned) -> None:
    watch = learned()

    found = [
        bool(close(watch, k, usual(k, cache=5.0)).findings) for k in range(LEARNED, LEARNED + 400)
    ]

    assert any(found[:10])
    assert not any(found[-100:])


def test_a_change_that_was_accepted_is_normal_at_once(learned: Learned) -> None:
    watch, kept = learned(), learned()

    def more(k: int) -> list[str]:
        return usual(k, cache=5.0)

    took, finding, _ = until_found(watch, more, RATE)
    assert until_found(kept, more, RATE)[0] == took

    watch.accept(finding.series.target)

    windows = range(LEARNED + took, LEARNED + took + 10)
    target = finding.series.target
    assert all(_about(close(kept, k, more(k)), target) for k in windows)
    assert not any(_about(close(watch, k, more(k)), target) for k in windows)


def _about(watched: Watched, target: str) -> bool:
    return any(f.series.target == target and f.detector == RATE for f in watched.findings)


def test_another_mix_is_found() -> None:
    watch = LogWatch(budget=250.0)
    rng = np.random.default_rng(5)
    words = ["pump", "valve", "engine", "brake", "door", "lamp", "horn", "wheel", "seat", "belt"]

    def lines(by: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[str]:
        return [
            f"{word} done {i}"
            for word, n in zip(words, rng.poisson(by), strict=True)
            for i in range(n)
        ]

    for k in range(120):
        close(watch, k, lines(np.full(10, 10.0)))
    found = [
        finding
        for k in range(120, 150)
        for finding in close(watch, k, lines(np.array([14.0, 6.0] * 5))).findings
    ]

    assert MIX_TARGET in {each.series.target for each in found}


def test_a_window_with_too_many_forms_is_not_judged(
    learned: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = learned()
    monkeypatch.setattr(counts, "MOST_FORMS", 3)

    found = [
        finding.detector
        for k in range(LEARNED, LEARNED + 30)
        for finding in close(watch, k, usual(k, cache=9.0)).findings
    ]

    assert RATE not in found
    assert VANISHED not in found


def test_a_flood_of_new_statements_says_no_more_than_its_limit(learned: Learned) -> None:
    strange = [f"{chr(97 + i % 26)}{chr(97 + i // 26)} broke" for i in range(300)]

    assert len(close(learned(), LEARNED, strange).findings) == FOUND


def test_templates_that_become_one_are_told(learned: Learned) -> None:
    names = ["anna", "bert", "carl", "dora", "emil"]

    watched = close(learned(), LEARNED, [f"moved {name} to archive" for name in names])

    assert len(watched.gone) == 4
    (target,) = {each.series.target for each in watched.findings}
    assert target not in watched.gone
    assert watched.said[target].template == "moved <*> to archive"


def test_windows_without_lines_teach_nothing(learned: Learned) -> None:
    watch = learned()
    state = watch.state()

    watched = watch.close("m", "1", window(LEARNED), {})

    assert watched == Watched([], [], {})
    assert watch.state() == state


def test_samples_tell_each_template_its_share(learned: Learned) -> None:
    watched = close(learned(), LEARNED, ["heartbeat of node 7"] * 4)

    found = {each.series.target: each for each in watched.samples}
    assert found["templates"].value == 5
    assert found["new_templates"].value == 0
    shares = [each.value for target, each in found.items() if target.startswith("template:")]
    assert sorted(shares) == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert all(each.n == 4 for each in watched.samples)


SAID = ["took 1 ms", "took 2 ms", "disk full", "", "\x1f", "\ud800", *(f"a b {x}" for x in "cdefg")]
LINES = st.lists(st.sampled_from(SAID), max_size=12)


@settings(deadline=None)
@given(st.lists(LINES, max_size=12), st.integers(0, 12))
def test_it_goes_on_from_its_state_as_if_nothing_had_happened(
    windows: list[list[str]], cut: int
) -> None:
    whole, first = LogWatch(budget=5.0, learn=1), LogWatch(budget=5.0, learn=1)
    expected = [close(whole, k, lines) for k, lines in enumerate(windows)]

    found = [close(first, k, lines) for k, lines in enumerate(windows[:cut])]
    second = LogWatch(budget=5.0, learn=1)
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.state())))
    found += [close(second, k + cut, lines) for k, lines in enumerate(windows[cut:])]

    assert [each.findings for each in found] == [each.findings for each in expected]
    assert [each.said for each in found] == [each.said for each in expected]
    assert second.state() == whole.state()
    for each in found:
        for sample in each.samples:
            assert math.isfinite(sample.value)
        for finding in each.findings:
            assert math.isfinite(finding.statistic + finding.value + finding.expected)


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 9},
        {"lines": "x"},
        {"tree": {}},
        {"history": {"numbers": [5]}},
        {"examples": [1]},
    ],
)
def test_a_damaged_state_is_refused_and_nothing_of_it_taken(
    learned: Learned, damage: dict[str, object]
) -> None:
    watch = learned()
    before = watch.state()

    with pytest.raises(StateError):
        watch.restore({**before, **damage})

    assert watch.state() == before
