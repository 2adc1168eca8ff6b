"""Moving a model to another version: at most one switch, whatever crashes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import Crash, FakeDeployer
from tests.handlers import cases
from watchkeeper.handlers.errors import Refused, Unreachable
from watchkeeper.handlers.switching import Step, move
from watchkeeper.handlers.types import Outcome, Phase

_CALLS = st.sets(st.integers(1, 40), max_size=12)


def _move(target: FakeDeployer, step: Step = "run") -> Outcome:
    source, goal = ("v1", "v2") if step == "undo" else ("v2", "v1")
    return move(target, cases.action(), source, goal, step=step, at=cases.NOW)


def _until_it_ends(target: FakeDeployer, step: Step = "run") -> Outcome:
    """Starts again after each crash, as the supervisor does."""
    while True:
        try:
            return _move(target, step)
        except Crash:
            continue


@given(before=_CALLS, after=_CALLS)
def test_no_interleaving_of_crashes_switches_twice(before: set[int], after: set[int]) -> None:
    target = FakeDeployer(crash_before=before, crash_after=after)

    outcome = _until_it_ends(target)
    undone = _until_it_ends(target, "undo")

    assert (outcome.phase, undone.phase) == (Phase.SUCCESSFUL, Phase.SUCCESSFUL)
    assert target.switches == ["v1", "v2"]


@given(before=_CALLS, after=_CALLS, restarts=st.integers(0, 6))
def test_what_somebody_else_made_live_stays(
    before: set[int], after: set[int], restarts: int
) -> None:
    target = FakeDeployer(crash_before=before, crash_after=after)
    for _ in range(restarts):
        try:
            _move(target)
        except Crash:
            continue
    ours = list(target.switches)
    target.live = "v3"

    outcome = _until_it_ends(target)

    assert outcome.phase is Phase.INCONCLUSIVE
    assert target.live == "v3"
    assert target.switches == ours


@pytest.mark.parametrize(
    ("error", "phase"), [(Unreachable("gone"), Phase.ERROR), (Refused("no"), Phase.FAILED)]
)
def test_a_target_that_fails_is_not_switched(error: Exception, phase: Phase) -> None:
    target = FakeDeployer(fail=error)

    outcome = _move(target)

    assert (outcome.phase, outcome.reason) == (phase, str(error))
    assert target.switches == []


def test_a_target_that_does_not_know_its_version_is_left_alone() -> None:
    target = FakeDeployer(live=None)

    assert _move(target).phase is Phase.INCONCLUSIVE
    assert target.switches == []


class _Lossy(FakeDeployer):
    """Its answer to a switch is lost, after it was done or before."""

    done = True

    def switch(self, model: str, version: str, key: str) -> None:
        if self.done:
            super().switch(model, version, key)
        raise Unreachable("timed out")


@dataclass
class _Flapping(FakeDeployer):
    """Obeys a switch, and does not answer the next `silent` times it is asked."""

    silent: int = 0

    def verify(self, model: str) -> str | None:
        if self.switches and self.silent:
            self.silent -= 1
            raise Unreachable("HTTP 503")
        return super().verify(model)


class _Deaf(FakeDeployer):
    """Says yes to a switch and does something else."""

    def switch(self, model: str, version: str, key: str) -> None:
        self.live = "v3"


def test_a_lost_answer_is_settled_by_reading_back() -> None:
    target = _Lossy()

    assert _move(target).phase is Phase.SUCCESSFUL


def test_a_lost_order_is_an_error_that_says_what_is_live() -> None:
    target = _Lossy()
    target.done = False

    outcome = _move(target)

    assert (outcome.phase, outcome.reason) == (Phase.ERROR, "v2 is still live (timed out)")


def test_a_target_that_falls_silent_behind_an_order_is_asked_again() -> None:
    with stamina.set_testing(True, attempts=4):
        outcome, never = _move(_Flapping(silent=3)), _move(_Flapping(silent=4))

    assert outcome.phase is Phase.SUCCESSFUL
    assert never.phase is Phase.ERROR
    assert never.reason == "asked for v1, but what is live cannot be read: HTTP 503"


def test_a_yes_is_not_believed() -> None:
    outcome = _move(_Deaf())

    assert outcome.phase is Phase.INCONCLUSIVE
    assert outcome.reason == "asked for v1, but v3 is live"
