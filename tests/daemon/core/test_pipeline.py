"""The core as a whole: what a model's life looks like to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from tests.playbook import MODEL, START, GoBack, Play, labels, objects
from watchkeeper.daemon.core.measuring import METRICS_LIMIT
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import AnyFrame, Command, LabelFrame, MetricFrame, Severity, Tick
from watchkeeper.handlers.types import ActionState, IncidentState, Kind, Mode, Outcome, Phase

QUIET = 45


def bad_version(play: Play) -> None:
    """A healthy version for a while, then a deployment that is wrong every second time."""
    play.traffic(QUIET)
    play.change("v2")
    play.traffic(9, version="v2", wrong=0.5)


def test_quiet_traffic_opens_nothing() -> None:
    play = Play()

    play.traffic(150)

    assert play.incidents == []
    harm = [f for s in play.steps for f in s.findings if f.severity is not Severity.INFO]
    assert harm == []


def test_a_bad_version_is_one_incident_of_kind_model() -> None:
    play = Play()

    bad_version(play)

    assert len(play.incidents) == 1
    assert play.incident.fault.kind is Kind.MODEL
    assert play.incident.fault.confidence > 0.9
    assert play.incident.severity is Severity.CRITICAL
    assert play.incident.version == "v2"
    assert any("newly deployed" in e.text for e in play.incident.fault.evidence)


def test_a_feature_that_goes_missing_is_data_and_plans_no_rollback() -> None:
    play = Play()
    play.traffic(QUIET)

    play.traffic(6, missing=0.6, wrong=0.3)

    assert play.incident.fault.kind is Kind.DATA
    assert play.incident.fault.place == "amount"
    assert play.actions == []
    play.traffic(14)
    assert play.state() is IncidentState.RESOLVED
    assert len(play.incidents) == 1


def test_failing_requests_are_serving() -> None:
    play = Play()
    play.traffic(QUIET)

    play.traffic(6, failing=0.3, slow=6.0)

    assert play.incident.fault.kind is Kind.SERVING
    assert play.actions == []


def test_a_strained_host_outweighs_serving() -> None:
    play = Play()
    for _ in range(60):
        play.step(Batch([*play.window(), play.memory(0.4)]))

    for _ in range(12):
        play.step(Batch([*play.window(slow=6.0), play.memory(0.95)]))

    assert play.incident.fault.kind is Kind.HOST


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


def test_late_labels_of_a_version_that_is_gone_reopen_nothing() -> None:
    play = Play(mode=Mode.ACT)
    play.traffic(QUIET)
    play.change("v2")
    play.traffic(14, version="v2", wrong=0.5, delay=12, n=600)
    play.outcome(play.actions[0], what="preflight")
    play.outcome(play.actions[0])

    play.traffic(25, version="v1", delay=12, n=600)

    assert play.state() is IncidentState.RESOLVED
    assert not any("returned" in line for line in play.story)


def test_a_bad_canary_is_its_own_versions_incident() -> None:
    play = Play(mode=Mode.OBSERVE)
    play.traffic(QUIET)
    play.change("v2")

    for _ in range(8):
        both = [*play.window(version="v1", n=120), *play.beside(version="v2", failing=0.5, n=60)]
        play.step(Batch(in_order(both)))

    assert play.incident.version == "v2"
    assert play.incident.share == pytest.approx(60 / 180)
    assert play.state() is not IncidentState.RESOLVED


def test_silence_is_found_when_time_passes_without_events() -> None:
    play = Play()
    play.tick()
    for _ in range(60):
        play.traffic(1)
        play.step(Batch(tick=Tick(play.at)))

    for _ in range(8):
        play.tick()

    assert play.incident.fault.kind is Kind.SERVING
    assert any(f.detector == "silence" for f in play.incident.findings)


def test_ticks_do_not_age_a_replayed_past() -> None:
    play = Play()
    play.traffic(40)
    ten_years_later = START + 3.15e8

    play.at = ten_years_later
    step = play.tick()

    assert step.samples == []
    assert step.findings == []


def test_people_acknowledge_and_resolve() -> None:
    play = Play(mode=Mode.OBSERVE)
    bad_version(play)
    known = play.incident.id

    assert play.command("ack", known) == f"done: ack {known}"
    assert play.state() is IncidentState.ACKNOWLEDGED
    assert play.incident.owner == "ann"
    assert play.command("resolve", known, reason="known") == f"done: resolve {known}"
    assert play.state() is IncidentState.RESOLVED
    assert play.command("resolve", known).startswith("refused")
    assert play.command("ack", "inc-unknown").startswith("refused")


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


def test_a_new_version_is_judged_by_what_the_old_one_taught() -> None:
    play = Play()
    play.traffic(QUIET)

    play.traffic(9, version="v2", wrong=0.5)

    assert play.incident.version == "v2"
    assert {f.series.version for f in play.incident.findings} == {"v2"}


def test_duplicates_and_late_events_are_counted_and_left_out() -> None:
    play = Play()
    play.traffic(5)
    again = play.window()
    play.step(Batch(again))

    repeated = play.step(Batch(again)).counts[MODEL]
    assert repeated.conflicts >= 120
    play.traffic(5)
    play.at = START
    late = play.step(Batch(play.window(n=50))).counts[MODEL]

    assert late.late == 50


def test_metrics_beyond_the_limit_share_one_name() -> None:
    play = Play()
    play.traffic(1)
    n = 1_000
    at = np.full(n, play.at)
    names = objects([f"metric{i}" for i in range(n)])
    hosts, gauges = objects(["h"] * n), np.zeros(n, dtype=np.bool_)

    play.step(Batch([MetricFrame(MODEL, at, np.arange(n), names, np.ones(n), hosts, gauges)]))
    play.traffic(3)

    targets = {s.series.target for step in play.steps for s in step.samples}
    admitted = {"__other__"} | {f"metric{i}@h" for i in range(METRICS_LIMIT)}
    assert {each for each in targets if ":max" not in each} >= admitted
    assert len(targets) < 700


def requests(at: float, count: float) -> MetricFrame:
    """One reading of a counter that one host has."""
    names, hosts = objects(["requests"]), objects(["h"])
    value, counter = np.array([count]), np.ones(1, dtype=np.bool_)
    return MetricFrame(MODEL, np.array([at]), np.arange(1), names, value, hosts, counter)


def rates(play: Play) -> list[tuple[float, float, int]]:
    found = [s for step in play.steps for s in step.samples if s.series.target == "requests@h"]
    return [(s.window.start - START, s.value, s.n) for s in found]


def test_a_counter_read_once_a_window_is_a_rate_across_restarts_and_new_beginnings() -> None:
    play = Play()
    counts = [600.0, 900.0, 1_200.0, 1_500.0, 1_560.0, 120.0, 180.0]

    for i, count in enumerate(counts):
        play.step(Batch([requests(play.at + 30.0, count), *play.window()]))
        if i == 2:
            play.restarted()
    play.traffic(3)

    expected = [5.0, 5.0, 5.0, 1.0, 2.0, 1.0]
    assert rates(play) == [(60.0 * (i + 1), each, 1) for i, each in enumerate(expected)]


def test_rates_do_not_hang_on_batches() -> None:
    single, joined = Play(), Play()
    readings = [requests(START + 25.0 * i, 7.0 * i * i) for i in range(30)]

    for i, reading in enumerate(readings):
        single.step(Batch([reading, *(single.window() if i % 3 == 2 else [])]))
    for i in range(0, 30, 10):
        joined.step(Batch(readings[i : i + 10]))

    assert len(rates(single)) == 11
    assert rates(single) == rates(joined)


def test_only_the_last_versions_stay_in_memory() -> None:
    play = Play()

    for i in range(12):
        play.traffic(3, version=f"v{i}")

    state = play.pipeline.state.models[MODEL]
    assert len({series.version for series in state.judges}) <= 7
    assert len(state.profiles) <= 7
    assert len(state.versions) == 12


def test_any_number_of_versions_at_once_is_borne() -> None:
    play = Play()
    play.traffic(3)
    at = play.at
    for i in range(60):
        play.at = at
        play.step(Batch(play.window(version=f"w{i}", n=40)))

    play.traffic(3)

    state = play.pipeline.state.models[MODEL]
    assert len(state.versions) <= 52
    assert state.live_version in state.versions


def test_one_event_of_a_wrong_clock_blinds_nobody() -> None:
    play = Play()
    play.traffic(40)
    wrong = play.window(n=1)[0]
    play.at -= 60.0
    wrong = replace(wrong, at=wrong.at + 20 * 3600.0)

    play.step(Batch([wrong]))
    play.traffic(6)

    late = sum(step.counts[MODEL].late for step in play.steps if MODEL in step.counts)
    assert late == 0
    assert play.incidents == []


@pytest.mark.parametrize("behind", [20.0, 120.0, 280.0])
def test_a_stream_behind_the_clock_is_live_and_not_late(behind: float) -> None:
    play = Play()

    for _ in range(50):
        play.traffic(1)
        play.step(Batch(tick=Tick(play.at + behind)))

    late = sum(step.counts[MODEL].late for step in play.steps if MODEL in step.counts)
    assert late == 0
    assert play.incidents == []


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


def test_switched_off_and_new_detectors_hold_after_a_restart() -> None:
    play = Play()
    play.traffic(50)
    play.policy = msgspec.structs.replace(
        play.policy, watches=DEFAULT_WATCHES, without=("accuracy/*:*", "errors/*:*")
    )
    play.restarted()

    play.traffic(12, wrong=0.5, failing=0.4)

    found = {f.series.signal for step in play.steps[50:] for f in step.findings}
    assert not found & {"accuracy", "errors"}


def test_another_width_of_windows_starts_anew_and_sees() -> None:
    play = Play()
    play.traffic(50)
    play.policy = msgspec.structs.replace(play.policy, window_s=120.0)
    play.restarted()
    play.traffic(80)
    assert play.incidents == []

    play.traffic(12, failing=0.5)

    assert play.incident.fault.kind is Kind.SERVING


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


def test_a_new_kind_of_harm_in_an_open_incident_is_told() -> None:
    play = Play(mode=Mode.OBSERVE)
    bad_version(play)
    before = play.incident.revision

    play.traffic(6, version="v2", wrong=0.5, failing=0.5)

    assert play.incident.revision > before
    assert any(line.startswith("joined by") and "errors" in line for line in play.story)


def test_a_harm_that_nothing_shows_any_more_does_not_hold_an_incident_open() -> None:
    play = Play(mode=Mode.OBSERVE)
    for _ in range(60):
        play.step(Batch([*play.window(), play.memory(0.4)]))
    for _ in range(12):
        play.step(Batch([*play.window(), play.memory(0.95)]))
    assert play.incident.fault.kind is Kind.HOST

    play.traffic(70)

    assert any("not shown any more" in line for line in play.story)


def test_a_canary_that_pauses_is_no_evidence_of_recovery() -> None:
    play = Play(mode=Mode.OBSERVE)
    play.traffic(QUIET)
    play.change("v2")

    for i in range(16):
        frames = play.window(version="v1", n=120)
        if i % 2 == 0:
            frames += play.beside(version="v2", failing=0.9, n=60)
        play.step(Batch(in_order(frames)))

    assert play.incident.version == "v2"
    assert play.state() is not IncidentState.RESOLVED


def test_a_regression_of_what_was_only_observed_pages_nobody_anew() -> None:
    play = Play(mode=Mode.OBSERVE)
    play.traffic(QUIET)
    play.traffic(5, missing=0.2)
    assert play.incident.severity is Severity.WARNING
    play.traffic(8)
    assert play.state() is IncidentState.RESOLVED

    play.traffic(5, missing=0.2)

    assert play.state() is IncidentState.REGRESSED
    assert play.incident.severity is Severity.WARNING


def test_a_detector_that_raises_is_dismissed_and_the_watch_goes_on() -> None:
    play = Play()
    watch = Watch(signal="volume", detector="page_hinkley")
    play.policy = msgspec.structs.replace(play.policy, watches=(*DEFAULT_WATCHES, watch))
    play.traffic(40)
    judges = play.pipeline.state.models[MODEL].judges
    series = next(s for s in judges if s.signal == "volume")
    judges[series][0].detector.update = None  # type: ignore[method-assign,assignment]

    play.traffic(3)

    failures = [said for step in play.steps for said in step.failures]
    assert len(failures) == 1
    assert "volume" in failures[0]


def test_host_metrics_belong_to_the_version_that_is_live_however_batches_are_cut() -> None:
    whole, parts = Play(), Play()
    for play, together in ((whole, True), (parts, False)):
        play.traffic(5)
        for i in range(6):
            version = "v1" if i < 3 else "v2"
            metric, frames = play.memory(0.5), play.window(version=version)
            batches: list[list[AnyFrame]] = [[metric, *frames]] if together else [[metric], frames]
            for batch in batches:
                play.step(Batch(in_order(batch)))

    def seen(play: Play) -> list[tuple[str, float]]:
        samples = [s for step in play.steps for s in step.samples if s.series.signal == "metrics"]
        return [(s.series.version, s.window.start) for s in samples]

    assert seen(whole) == seen(parts)
    assert {version for version, _ in seen(whole)} == {"v1", "v2"}


def test_ten_thousand_labels_for_one_prediction_join_once() -> None:
    play = Play()
    frames = play.window(n=100)
    play.step(Batch(frames))
    due = [(START + 30.0, "r5", "yes")] * 10_000

    counts = play.step(Batch([labels(due, 0)])).counts[MODEL]

    assert counts.joined == 1
    assert counts.conflicts == 9_999


def test_a_label_may_come_before_its_prediction() -> None:
    play = Play()
    play.step(Batch([labels([(START + 1.0, "r3", "yes")], 0)]))

    counts = play.step(Batch(play.window(n=100))).counts[MODEL]

    assert counts.joined == 1


@pytest.mark.parametrize("cut", [1, 7, 50, 173])
def test_how_the_stream_is_cut_changes_nothing(cut: int) -> None:
    whole, parts = Play(), Play()
    windows = [whole.window(wrong=0.08 if i < 40 else 0.5) for i in range(48)]

    for frames in windows:
        whole.step(Batch(frames))
        for frame in frames:
            for i in range(0, len(frame), cut):
                parts.step(Batch([frame.take(slice(i, i + cut))]))

    assert findings_of(whole) == findings_of(parts)
    assert plain(whole.incident) == plain(parts.incident)
    assert plain(whole.actions) == plain(parts.actions)


def test_several_windows_in_one_batch_are_judged_as_if_they_came_one_by_one() -> None:
    single, joined = Play(), Play()
    windows = [single.window(wrong=0.08 if i < 40 else 0.5) for i in range(48)]

    for frames in windows:
        single.step(Batch(frames))
    for i in range(0, 48, 6):
        frames = [frame for each in windows[i : i + 6] for frame in each]
        joined.step(Batch(in_order(frames)))

    assert findings_of(single) == findings_of(joined)
    assert plain(single.incident) == plain(joined.incident)


def test_a_reference_complete_in_the_middle_of_a_window_measures_the_same_in_any_batch() -> None:
    single, joined = Play(), Play()
    for play in (single, joined):
        play.policy = msgspec.structs.replace(play.policy, learn_n=1_050)
    windows = [single.window() for _ in range(12)]

    for frames in windows:
        early = [frame.take(frame.at < frames[0].at[len(frames[0]) // 4]) for frame in frames]
        late = [frame.take(frame.at >= frames[0].at[len(frames[0]) // 4]) for frame in frames]
        single.step(Batch(in_order(early)))
        single.step(Batch(in_order(late)))
    for i in range(0, 12, 6):
        frames = [frame for each in windows[i : i + 6] for frame in each]
        by_kind = sorted(in_order(frames), key=lambda frame: isinstance(frame, LabelFrame))
        joined.step(Batch(by_kind))

    assert plain(single.pipeline.state.dump(MODEL)) == plain(joined.pipeline.state.dump(MODEL))


@pytest.mark.parametrize("crash_at", range(2, 58, 5))
def test_a_crash_at_any_moment_changes_nothing(crash_at: int) -> None:
    steady, crashed = Play(), Play()

    for i in range(58):
        wrong = 0.08 if i < 44 else 0.5
        version = "v1" if i < 44 else "v2"
        for play in (steady, crashed):
            if i == 44:
                play.change("v2")
            play.traffic(1, version=version, wrong=wrong)
        if i == crash_at:
            crashed.restarted()

    assert findings_of(steady) == findings_of(crashed)
    assert plain(steady.incident) == plain(crashed.incident)
    assert plain(steady.pipeline.state.dump(MODEL)) == plain(crashed.pipeline.state.dump(MODEL))


def test_a_planned_action_has_the_same_id_on_every_run() -> None:
    first, second = Play(handlers=(GoBack(),)), Play(handlers=(GoBack(),))

    bad_version(first)
    bad_version(second)

    assert [a.id for a in first.actions] == [a.id for a in second.actions]


def findings_of(play: Play) -> list[bytes]:
    return [msgspec.msgpack.encode(f) for step in play.steps for f in step.findings]


def in_order(frames: list[AnyFrame]) -> list[AnyFrame]:
    """The frames with one running order of arrival."""
    starts = np.cumsum([0, *(len(frame) for frame in frames)])
    return [
        replace(frame, seq=start + np.arange(len(frame)))
        for frame, start in zip(frames, starts, strict=False)
    ]


def plain(value: object) -> bytes:
    """The value's bytes: equal for equal values, and for NaN too."""
    return msgspec.msgpack.encode(value)
