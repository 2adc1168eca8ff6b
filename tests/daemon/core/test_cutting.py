"""However the stream is cut, and wherever it crashes, the same comes of it."""

from __future__ import annotations

import msgspec
import pytest

from tests.daemon.core.plays import findings_of, in_order, plain
from tests.examples import repeated
from tests.playbook import MODEL, Play
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.types import LabelFrame, PredictionFrame


@pytest.mark.parametrize("cut", repeated([173, 50, 7, 1], 2))
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


@pytest.mark.parametrize("first", [PredictionFrame, LabelFrame])
def test_a_reference_complete_in_the_middle_of_a_window_measures_the_same_in_any_batch(
    first: type,
) -> None:
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
        by_kind = sorted(in_order(frames), key=lambda frame: not isinstance(frame, first))
        joined.step(Batch(by_kind))

    assert plain(single.pipeline.state.dump(MODEL)) == plain(joined.pipeline.state.dump(MODEL))


@pytest.mark.parametrize("crash_at", repeated(range(2, 58, 5), 2))
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
