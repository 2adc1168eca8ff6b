"""An action from plan to end: checked, allowed or not, run, verified, undone, handed over."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.daemon.core.plays import QUIET, bad_version
from tests.playbook import MODEL, GoBack, Play
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.types import Command, Severity
from watchkeeper.handlers.types import ActionState, IncidentState, Mode, Outcome, Phase

pytestmark = pytest.mark.slow  # together, by arithmetic that no packaging changes


def test_a_rollback_is_checked_run_verified_and_resolves() -> None:
    play = Play(mode=Mode.ACT)
    bad_version(play)
    action = play.actions[0]

    assert action.state is ActionState.PLANNED
    play.outcome(action, what="preflight")
    assert play.action_state() is ActionState.PERMITTED
    assert play.state() is IncidentState.MITIGATING
    play.outcome(action)
    assert play.state() is IncidentState.VERIFYING
    play.traffic(16, version="v1")

    assert play.state() is IncidentState.RESOLVED
    assert play.action_state() is ActionState.SUCCESSFUL
    assert len(play.actions) == 1
    assert len(play.incidents) == 1
    assert play.pipeline.state.models[MODEL].versions["v2"].faulty


def test_observe_says_what_it_would_have_done_and_does_nothing() -> None:
    play = Play(mode=Mode.OBSERVE)

    bad_version(play)

    assert [a.state for a in play.actions] == [ActionState.REFUSED]
    assert "would have been done" in play.actions[0].reason


def test_ask_waits_for_a_person() -> None:
    play = Play(mode=Mode.ASK)
    bad_version(play)
    action = play.actions[0]
    play.outcome(action, what="preflight")

    assert play.action_state() is ActionState.HELD
    assert play.command("approve", action.id) == "done: rollback permitted"
    assert play.actions[0].approved_by == "ann"
    assert play.command("approve", action.id).startswith("refused: the action is permitted")


def test_a_rejected_action_is_not_planned_again() -> None:
    play = Play(mode=Mode.ASK)
    bad_version(play)
    play.outcome(play.actions[0], what="preflight")

    assert play.command("reject", play.actions[0].id) == "done: rollback refused"
    play.traffic(3, version="v2", wrong=0.5)

    assert [a.state for a in play.actions] == [ActionState.REFUSED]


@pytest.mark.parametrize(
    ("phase", "state"),
    [(Phase.FAILED, ActionState.REFUSED), (Phase.INCONCLUSIVE, ActionState.HELD)],
)
def test_an_unfit_target_is_refused_and_an_undecided_one_held(
    phase: Phase, state: ActionState
) -> None:
    play = Play(mode=Mode.ACT)
    bad_version(play)

    play.outcome(play.actions[0], phase, what="preflight")

    assert play.action_state() is state


def test_an_action_that_does_not_help_is_undone_once_and_handed_over() -> None:
    play = Play(mode=Mode.ACT)
    bad_version(play)
    action = play.actions[0]
    play.outcome(action, what="preflight")
    play.outcome(action)

    play.traffic(23, version="v1", wrong=0.6)
    assert play.action_state() is ActionState.UNDOING
    play.outcome(action, what="undo")
    play.traffic(15, version="v2", wrong=0.5)

    assert play.action_state() is ActionState.UNDONE
    assert play.state() is IncidentState.OPEN
    assert len(play.actions) == 1
    assert any("a person is needed" in line for line in play.story)


def test_an_action_that_helped_a_little_is_not_undone_but_handed_over() -> None:
    play = Play(mode=Mode.ACT)
    bad_version(play)
    action = play.actions[0]
    play.outcome(action, what="preflight")
    play.outcome(action)

    play.traffic(26, version="v1", wrong=0.25)

    assert play.action_state() is ActionState.SUCCESSFUL
    assert play.state() is IncidentState.OPEN
    assert any("helped, but not to the old level" in line for line in play.story)


def test_a_failed_action_calls_a_person() -> None:
    play = Play(mode=Mode.ACT)
    bad_version(play)
    action = play.actions[0]
    play.outcome(action, what="preflight")

    play.outcome(action, Phase.FAILED)

    assert play.state() is IncidentState.OPEN
    assert play.incident.severity is Severity.CRITICAL
    assert "a person is needed: rollback failed: said the test" in play.story


def test_a_fault_that_returns_after_an_action_is_the_same_incident_and_a_persons() -> None:
    play = Play(mode=Mode.ACT)
    bad_version(play)
    play.outcome(play.actions[0], what="preflight")
    play.outcome(play.actions[0])
    play.traffic(16, version="v1")
    assert play.state() is IncidentState.RESOLVED

    play.traffic(6, version="v1", wrong=0.5)

    assert play.state() is IncidentState.REGRESSED
    assert len(play.incidents) == 1
    assert len(play.actions) == 1


def test_a_paused_model_is_watched_but_not_acted_on() -> None:
    play = Play(mode=Mode.ACT)
    play.traffic(QUIET)
    assert play.command("pause", MODEL) == "done: fraud paused"

    play.change("v2")
    play.traffic(9, version="v2", wrong=0.5)
    action = play.actions[0]

    assert action.state is ActionState.PLANNED
    assert "paused" in action.reason
    assert play.command("resume", MODEL) == "done: fraud resumed"
    play.traffic(1, version="v2", wrong=0.5)
    play.outcome(action, what="preflight")
    assert play.action_state() is ActionState.PERMITTED


def test_nothing_is_done_while_the_stream_lags() -> None:
    play = Play(mode=Mode.ACT)
    play.traffic(QUIET)
    play.change("v2")

    for _ in range(9):
        frames = play.window(version="v2", wrong=0.5)
        play.step(Batch(frames, blind_since=1.0))

    assert play.action_state() is ActionState.PLANNED
    assert "not caught up" in play.actions[0].reason


def test_an_expired_command_is_refused_in_every_turn() -> None:
    play = Play(mode=Mode.ASK)
    bad_version(play)
    play.outcome(play.actions[0], what="preflight")
    when = datetime.fromtimestamp(play.at, UTC)
    order = Command(
        id="late",
        time=when,
        command="approve",
        target=play.actions[0].id,
        expires_at=when,
    )

    answers = play.step(Batch(commands=[order], now=play.at + 1.0)).answers

    assert answers["late"] == "refused: the command has expired"
    assert play.action_state() is ActionState.HELD


def test_an_outcome_for_a_model_that_is_gone_makes_no_ghost() -> None:
    play = Play()
    play.traffic(3)

    stray = Outcome("act-x", "elsewhere", Phase.SUCCESSFUL, "done", play.at)
    play.step(Batch(outcomes=[stray]))

    assert list(play.pipeline.state.models) == [MODEL]


def test_pausing_takes_back_what_has_not_begun() -> None:
    play = Play(mode=Mode.ACT)
    bad_version(play)
    play.outcome(play.actions[0], what="preflight")
    assert play.action_state() is ActionState.PERMITTED

    play.command("pause", MODEL)

    assert play.action_state() is ActionState.PLANNED
    play.command("resume", MODEL)
    play.traffic(1, version="v2", wrong=0.5)
    play.outcome(play.actions[0], what="preflight")
    assert play.action_state() is ActionState.PERMITTED


def test_resolving_takes_back_what_was_permitted() -> None:
    play = Play(mode=Mode.ACT)
    bad_version(play)
    play.outcome(play.actions[0], what="preflight")

    play.command("resolve", play.incident.id)

    assert play.action_state() is ActionState.REFUSED


def test_what_had_begun_before_it_was_withdrawn_counts_all_the_same() -> None:
    play = Play(mode=Mode.ACT)
    bad_version(play)
    play.outcome(play.actions[0], what="preflight")
    play.command("resolve", play.incident.id)

    play.outcome(play.actions[0])

    assert play.action_state() is ActionState.SUCCESSFUL


def test_a_version_whose_leaving_did_not_help_is_not_branded() -> None:
    play = Play(mode=Mode.ACT)
    bad_version(play)
    action = play.actions[0]
    play.outcome(action, what="preflight")
    play.outcome(action)
    assert play.pipeline.state.models[MODEL].versions["v2"].faulty
    play.traffic(23, version="v1", wrong=0.6)

    play.outcome(action, what="undo")

    assert not play.pipeline.state.models[MODEL].versions["v2"].faulty


def test_a_planned_action_has_the_same_id_on_every_run() -> None:
    first, second = Play(handlers=(GoBack(),)), Play(handlers=(GoBack(),))

    bad_version(first)
    bad_version(second)

    assert [a.id for a in first.actions] == [a.id for a in second.actions]
