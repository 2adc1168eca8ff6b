"""What a judgement must not hang on: other models, and when the daemon was stopped."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from tests.playbook import MODEL, Play
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.types import AnyFrame, PredictionFrame


def test_a_new_version_of_another_schema_is_judged_alike_whoever_else_is_watched() -> None:
    alone, beside = Play(), Play()
    mine = [given("v1", without="age"), given("v2", without="amount")]
    beside.step(Batch(profiles=[msgspec.structs.replace(mine[1], model="other")]))

    for play in (alone, beside):
        play.step(Batch(profiles=mine))
        play.traffic(30)
        at = play.at
        play.traffic(1)
        play.at = at
        play.traffic(4, version="v2", wrong=0.2)

    assert dump(alone) == dump(beside)


def test_what_was_taught_outlives_a_restart_just_after_another_reference_was_given() -> None:
    steady, crashed = Play(), Play()

    for play in (steady, crashed):
        play.traffic(20)
        play.traffic(1, missing=0.5)
        window = play.window(missing=0.5)
        play.step(Batch(rows(window, slice(0, 60))))
        play.step(Batch(rows(window, slice(60, 80)), profiles=[given("v1", without="age")]))
        if play is crashed:
            play.restarted()
        play.step(Batch(rows(window, slice(80, None))))
        play.traffic(2, missing=0.5)

    assert dump(steady) == dump(crashed)


def test_a_detector_of_another_layout_begins_anew_and_that_is_said() -> None:
    play = Play()
    play.traffic(12)
    stored = play.pipeline.state.dump(MODEL)
    ((name, layout),) = stored["layouts"].items()
    posts = msgspec.msgpack.decode(layout)
    posts[0][1] = bytes(8)
    stored["layouts"][name] = msgspec.msgpack.encode(posts)

    refused = State(lambda _: play.policy).load(MODEL, stored)

    assert len(refused) == 1
    assert refused[0].startswith("version v1, ")


def given(version: str, without: str) -> Profile:
    """A reference that knows one feature less than the traffic has."""
    frame = predicted(Play(seed=5).window(version=version, n=1_500))
    numeric = {name: column for name, column in frame.numeric.items() if name != without}
    return learn_profile([replace(frame, numeric=numeric)], MODEL, version, source="imported")


def predicted(frames: list[AnyFrame]) -> PredictionFrame:
    return next(each for each in frames if isinstance(each, PredictionFrame))


def rows(window: list[AnyFrame], chosen: slice) -> list[AnyFrame]:
    frame = predicted(window)
    return [replace(frame, seq=np.arange(len(frame))).take(chosen)]


def dump(play: Play) -> bytes:
    return msgspec.msgpack.encode(play.pipeline.state.dump(MODEL))
