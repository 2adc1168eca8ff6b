"""The core as a whole: what a model's life looks like to it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from tests.daemon.core.plays import QUIET, bad_version, in_order
from tests.playbook import MODEL, START, Play, labels
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import Severity, Tick
from watchkeeper.handlers.types import IncidentState, Kind, Mode


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
