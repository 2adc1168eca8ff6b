"""What is normal is learned anew after a person accepted a change."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.playbook import MODEL, Play, rolled_back
from watchkeeper.daemon.auditing import audited
from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.gathered import predictions
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import PredictionFrame, Severity
from watchkeeper.handlers.types import IncidentState, Mode

pytestmark = pytest.mark.slow  # together, by arithmetic that no packaging changes

GATHERING = 9  # windows that hold 1,000 predictions
LEARNING = GATHERING + 4  # and those until it is sure that none of them did harm
NEW = {"new_normal": True}


def emptier(missing: float = 0.3) -> Play:
    """A third of the amounts begins to be missing, and somebody is told."""
    play = Play(mode=Mode.OBSERVE)
    play.traffic(20)
    play.traffic(5, missing=missing)
    assert play.incident.severity is Severity.WARNING
    return play


def accepted() -> Play:
    play = emptier()
    assert play.command("resolve", play.incident.id, args=NEW, reason="by design").startswith(
        "done"
    )
    return play


def test_what_was_accepted_opens_nothing_any_more() -> None:
    play = accepted()

    play.traffic(40, missing=0.3)

    assert len(play.incidents) == 1
    assert play.state() is IncidentState.RESOLVED


def test_without_new_normal_the_same_returns() -> None:
    play = emptier()
    play.command("resolve", play.incident.id)

    play.traffic(5, missing=0.3)

    assert play.state() is IncidentState.REGRESSED


def test_the_reference_is_learned_from_what_came_after() -> None:
    play = accepted()
    since = play.at

    play.traffic(LEARNING + 3, missing=0.3)

    learned = reference(play)
    assert learned.since > since
    assert learned.n == 1_000
    assert missing_of(learned) == pytest.approx(0.3, abs=0.05)


def test_the_old_reference_is_in_force_until_the_new_one_is_complete() -> None:
    play = accepted()
    old = reference(play)

    play.traffic(LEARNING - 1, missing=0.3)
    assert reference(play) == old

    play.traffic(3, missing=0.3)
    assert reference(play) != old


def test_every_window_is_measured_against_a_reference_while_it_is_replaced() -> None:
    play = accepted()
    before = len(play.steps)

    play.traffic(LEARNING + 10, missing=0.3)

    shown = {
        sample.window.start
        for step in play.steps[before:]
        for each in step.sampled
        for sample in each.samples("features")
        if sample.series.target == "amount:missing"
    }
    assert len(shown) == LEARNING + 10


def test_what_becomes_worse_after_the_learning_is_found() -> None:
    play = accepted()
    play.traffic(LEARNING + 8, missing=0.3)

    play.traffic(6, missing=0.8)

    assert len(play.incidents) == 2
    assert play.incident.severity is Severity.WARNING


def test_other_harm_is_found_during_the_learning_and_is_not_learned() -> None:
    play = accepted()
    play.traffic(4, missing=0.3)
    old = reference(play)

    play.traffic(LEARNING + 6, missing=0.3, failing=0.5)

    assert len(play.incidents) == 2
    assert reference(play) == old
    play.traffic(LEARNING + 12, missing=0.3)
    assert play.state() is IncidentState.RESOLVED
    assert play.incident.resolved_at is not None
    quiet = play.incident.resolved_at - play.policy.recover_windows * 60.0
    assert reference(play).since > quiet


def test_harm_that_shows_when_all_is_gathered_makes_the_learning_begin_again() -> None:
    play = accepted()
    old = reference(play)

    play.traffic(GATHERING - 1, missing=0.3)
    assert model(play).renewals["v1"].candidate is None
    play.traffic(1, missing=0.3, failing=0.9)
    assert model(play).renewals["v1"].candidate is not None
    play.traffic(2, missing=0.3, failing=0.9)
    play.traffic(3, missing=0.3)

    assert reference(play) == old
    assert model(play).renewals["v1"].candidate is None


def test_a_detectors_level_is_learned_anew_too() -> None:
    play = Play(mode=Mode.OBSERVE)
    play.traffic(45)
    play.traffic(5, slow=3.0)
    assert play.incident.severity is Severity.CRITICAL

    play.command("resolve", play.incident.id, args=NEW)
    play.traffic(40, slow=3.0)
    assert len(play.incidents) == 1

    play.traffic(6, slow=9.0)
    assert len(play.incidents) == 2


def test_a_version_met_during_the_learning_gets_the_new_reference_as_well() -> None:
    play = accepted()
    play.traffic(2, missing=0.3)

    for _ in range(LEARNING + 6):
        play.traffic(1, missing=0.3)
        at = play.at
        play.at -= 60.0
        play.step(Batch(play.window(version="v2", missing=0.3, n=60)))
        assert play.at == at
    play.traffic(3, missing=0.3)

    assert model(play).profiles["v2"] == reference(play)
    assert missing_of(reference(play)) > 0.2
    assert len(play.incidents) == 1


def test_a_version_that_was_left_cannot_be_accepted() -> None:
    play = rolled_back()

    answer = play.command("resolve", play.incident.id, args=NEW)

    assert answer.startswith("refused: ")
    assert play.incident.open


def test_an_imported_reference_stays() -> None:
    play = Play(mode=Mode.OBSERVE)
    play.traffic(12)
    given = msgspec.structs.replace(reference(play), source="imported")
    play.step(Batch(profiles=[given]))
    play.traffic(5)
    play.traffic(5, missing=0.3)

    answer = play.command("resolve", play.incident.id, args=NEW)
    play.traffic(LEARNING + 3, missing=0.3)

    assert "its imported reference stays until another is imported" in answer
    assert reference(play) == given


@pytest.mark.parametrize("at", range(0, LEARNING + 5))
def test_a_restart_in_the_middle_changes_nothing(at: int) -> None:
    steady, crashed = accepted(), accepted()

    for play in (steady, crashed):
        play.traffic(at, missing=0.3)
    crashed.restarted()
    for play in (steady, crashed):
        play.traffic(LEARNING + 8, missing=0.3)

    assert missing_of(reference(steady)) > 0.2
    assert dump(steady) == dump(crashed)


@pytest.mark.parametrize("cut", [1, 3, 8, 30])
def test_how_the_stream_is_cut_changes_nothing(cut: int) -> None:
    single, joined = accepted(), accepted()
    made = [
        [each for each in single.window(missing=m, failing=f) if isinstance(each, PredictionFrame)]
        for m, f in [(0.3, 0.0)] * 4 + [(0.3, 0.7)] + [(0.3, 0.0)] * 40
    ]
    frames = [PredictionBlock.of(numbered(each[0])) for each in made]

    for frame in frames:
        single.step(Batch([predictions([frame])]))
    for first in range(0, len(frames), cut):
        joined.step(Batch([predictions(frames[first : first + cut])]))

    assert missing_of(reference(single)) > 0.2
    assert dump(single) == dump(joined)


def test_who_and_when_and_why_is_on_record() -> None:
    play = accepted()
    play.traffic(LEARNING + 4, missing=0.3)

    story = play.story
    assert "accepted as the new normal by ann: by design" in story
    assert any("v1: its reference is learned anew from its next 1000" in each for each in story)
    assert story[-1] == "v1: its reference was learned anew from 1000 predictions"
    (line,) = [line for step in play.steps for line in audited(step, [], play.at)]
    assert (line.actor, line.verb, line.target) == ("watchkeeper", "rebaselined", MODEL)
    assert f"asked for by ann with {play.incident.id}" in line.detail


def test_a_reference_is_learned_anew_when_somebody_asks_for_it() -> None:
    play = Play(mode=Mode.OBSERVE)
    play.traffic(20)
    since = play.at

    assert play.command("rebaseline", MODEL) == (
        "done: v1: its reference is learned anew from its next 1000 predictions"
    )
    play.traffic(LEARNING + 3)

    assert reference(play).since > since


@pytest.mark.parametrize(
    ("target", "args", "why"),
    [
        ("other", {}, "no model other"),
        (MODEL, {"version": "v9"}, "version v9 is not known"),
        (MODEL, {}, "resolve "),
    ],
)
def test_what_cannot_be_learned_anew_is_refused(
    target: str, args: dict[str, str], why: str
) -> None:
    play = emptier() if why == "resolve " else Play()
    if why != "resolve ":
        play.traffic(12)

    assert play.command("rebaseline", target, args=args).startswith(f"refused: {why}")


def deployed(rebaseline: str = "accepted") -> Play:
    """A version follows another, with fewer amounts missing than pages anybody."""
    play = Play(mode=Mode.OBSERVE)
    play.policy = msgspec.structs.replace(play.policy, rebaseline=rebaseline)
    play.traffic(45)
    play.change("v2")
    return play


MATURING = 5 + LEARNING  # windows until a deployed version has a reference of its own


def test_a_deployed_version_gets_a_reference_of_its_own() -> None:
    play = deployed()
    old = reference(play)

    play.traffic(MATURING + 4, version="v2", missing=0.02)

    mine = model(play).profiles["v2"]
    assert (mine.version, mine.source, mine.n) == ("v2", "learned", 1_000)
    assert 0.005 < missing_of(mine) < 0.04
    assert reference(play) == old
    (line,) = [line for step in play.steps for line in audited(step, [], play.at)]
    assert line.detail.startswith("v2: its reference was learned anew from 1000 predictions")
    assert line.detail.endswith("since it was deployed and healthy")


def test_until_it_was_healthy_for_long_enough_it_learns_nothing() -> None:
    play = deployed()

    play.traffic(4, version="v2")

    assert not model(play).renewals
    assert model(play).profiles["v2"] == reference(play)


def test_a_deployed_version_keeps_what_it_inherited_where_that_is_wanted() -> None:
    play = deployed("never")

    play.traffic(MATURING + 4, version="v2", missing=0.02)

    assert model(play).profiles["v2"] == reference(play)


def test_a_version_nobody_told_of_keeps_what_it_inherited() -> None:
    play = Play(mode=Mode.OBSERVE)
    play.traffic(45)

    play.traffic(MATURING + 4, version="v2", missing=0.02)

    assert model(play).profiles["v2"] == reference(play)


@pytest.mark.parametrize("harm", [{"missing": 0.3}, {"wrong": 0.5}, {"failing": 0.5}])
def test_a_bad_version_is_never_its_own_idea_of_normal(harm: dict[str, float]) -> None:
    play = deployed()

    for _ in range(3 * MATURING):
        play.traffic(1, version="v2", **harm)  # type: ignore[arg-type]

    assert play.incident.open
    assert model(play).profiles["v2"] == reference(play)
    assert not model(play).renewals


def test_a_version_that_turns_bad_while_it_learns_does_not_learn_that() -> None:
    play = deployed()
    play.traffic(10, version="v2")
    assert model(play).renewals

    play.traffic(2 * MATURING, version="v2", missing=0.3)

    assert play.incident.open
    assert model(play).profiles["v2"] == reference(play)


@pytest.mark.parametrize("at", [1, 5, 8, 15, 19, 20, 21])
def test_a_restart_while_a_deployed_version_matures_changes_nothing(at: int) -> None:
    steady, crashed = deployed(), deployed()

    for play in (steady, crashed):
        play.traffic(at, version="v2")
    crashed.restarted()
    for play in (steady, crashed):
        play.traffic(MATURING + 3, version="v2")

    assert model(steady).profiles["v2"].version == "v2"
    assert dump(steady) == dump(crashed)


@pytest.mark.parametrize("cut", [7, 40])
def test_how_the_stream_of_a_deployed_version_is_cut_changes_nothing(cut: int) -> None:
    single, joined = deployed(), deployed()
    windows = [
        [replace(each, seq=1_000 * number + each.seq) for each in single.window(version="v2")]
        for number in range(40)
    ]

    for window in windows:
        single.step(Batch(window))
    for first in range(0, len(windows), cut):
        joined.step(Batch([each for some in windows[first : first + cut] for each in some]))

    assert model(single).profiles["v2"].version == "v2"
    assert dump(single) == dump(joined)


def numbered(frame: PredictionFrame) -> PredictionFrame:
    first = int(frame.request_id[0][1:])
    return replace(frame, seq=first + np.arange(len(frame)))


def reference(play: Play) -> Profile:
    return model(play).profiles["v1"]


def missing_of(profile: Profile) -> float:
    (amount,) = [each for each in profile.numeric if each.name == "amount"]
    return amount.missing / amount.n


def model(play: Play) -> ModelState:
    return play.pipeline.state.models[MODEL]


def dump(play: Play) -> bytes:
    plain = play.pipeline.state.dump(MODEL)
    layouts = [*plain.pop("layouts", {}).items()]  # by names in bytes, which cannot be sorted below
    return msgspec.msgpack.encode([plain, layouts], order="sorted")
