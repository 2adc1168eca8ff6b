"""Versions of a model: met, told apart and forgotten, however the stream is cut or stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import thread_time

import msgspec
import numpy as np
import pytest

from tests.costs import at_most
from tests.playbook import MODEL, Play, labels
from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.step import Batch
from watchkeeper.daemon.core.versions import OPEN_LIMIT, OTHER, TAUGHT_LIMIT, VERSIONS_LIMIT
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.gathered import predictions
from watchkeeper.detectors.types import PredictionFrame


def test_a_version_forgotten_while_its_window_is_open_is_restored() -> None:
    steady, crashed = Play(), Play()

    for play in (steady, crashed):
        play.traffic(12)
        together(play, [f"w{i}" for i in range(TAUGHT_LIMIT + 3)])
    crashed.restarted()
    for play in (steady, crashed):
        play.traffic(4)

    assert dump(steady) == dump(crashed)


@pytest.mark.parametrize("first", ["v1", "v2"])
def test_a_model_may_have_two_versions_from_its_first_window_on(first: str) -> None:
    play, other = Play(), {"v1": "v2", "v2": "v1"}[first]
    at = play.at
    one = play.window(version=first)
    play.at = at

    for _ in range(3):
        play.step(Batch([*one, *play.window(version=other)]))
        at = play.at
        one = play.window(version=first)
        play.at = at

    assert set(play.pipeline.state.models[MODEL].versions) == {"v1", "v2"}


@pytest.mark.parametrize("cut", [1, 7, 29])
def test_versions_that_are_met_in_one_batch_begin_as_if_they_came_one_by_one(cut: int) -> None:
    versions = ["v1"] * 9 + ["v2"] * 2 + [f"v{(i * 7) % 11}" for i in range(18)]
    single, joined = Play(), Play()
    windows = [made(single.window(version=version)) for version in versions]

    for window in windows:
        single.step(Batch([window]))
    for first in range(0, len(windows), cut):
        joined.step(Batch([predictions(windows[first : first + cut])]))

    assert sorted(model(single).profiles) == sorted(model(joined).profiles)
    assert model(single).profiles == model(joined).profiles
    assert model(single).learning.keys() == model(joined).learning.keys()


def test_versions_that_are_not_told_apart_are_the_same_after_a_restart() -> None:
    steady, crashed = Play(), Play()

    for play in (steady, crashed):
        together(play, [f"w{i}" for i in range(OPEN_LIMIT + 10)])
    crashed.restarted()
    for play in (steady, crashed):
        play.traffic(4)

    assert OTHER in model(steady).versions
    assert dump(steady) == dump(crashed)


def test_more_versions_than_are_kept_may_come_one_after_the_other() -> None:
    steady, crashed = Play(), Play()

    for play in (steady, crashed):
        play.policy = msgspec.structs.replace(play.policy, join_capacity=200)
        for i in range(VERSIONS_LIMIT + 10):
            play.traffic(1, version=f"v{i}", n=40)
            if play is crashed and i % 9 == 0:
                play.restarted()

    assert dump(steady) == dump(crashed)
    assert len(steady.pipeline.state.arrays.ledger.versions[MODEL]) <= VERSIONS_LIMIT + 1


def test_labels_that_come_late_leave_nothing_of_a_version_of_long_ago() -> None:
    play = Play()
    play.traffic(3, version="first", delay=1)
    for i in range(VERSIONS_LIMIT + 2):
        play.traffic(1, version=f"v{i}")
    play.step(Batch([labels([(play.at + 1.0, f"r{i}", "yes") for i in range(350, 360)], 0)]))

    for i in range(TAUGHT_LIMIT):
        play.traffic(1, version=f"w{i}")

    arrays = play.pipeline.state.arrays
    assert len(arrays.panel_of) <= TAUGHT_LIMIT + 2


def test_a_reference_for_a_version_to_come_outlives_others() -> None:
    play = Play()
    play.traffic(12)
    given = msgspec.structs.replace(model(play).profiles["v1"], version="w9", source="imported")
    play.step(Batch(profiles=[given]))

    for i in range(TAUGHT_LIMIT + 3):
        play.traffic(1, version=f"v{i}")

    assert model(play).profiles["w9"] == given


def together(play: Play, versions: Sequence[str]) -> None:
    """All these versions predict in the next window."""
    at = play.at
    for version in versions:
        play.at = at
        play.step(Batch(play.window(version=version, n=40)))


def made(frames: Sequence[object]) -> PredictionBlock:
    """The predictions of a window, with their places in the whole stream."""
    frame = next(each for each in frames if isinstance(each, PredictionFrame))
    first = int(frame.request_id[0][1:])
    return PredictionBlock.of(replace(frame, seq=first + np.arange(len(frame))))


def model(play: Play) -> ModelState:
    return play.pipeline.state.models[MODEL]


def dump(play: Play) -> bytes:
    return msgspec.msgpack.encode(play.pipeline.state.dump(MODEL))


def test_new_versions_cost_no_more_the_more_there_are() -> None:
    assert at_most(2.5 * 8, lambda: seconds(1_600), lambda: seconds(200))


def seconds(n: int) -> float:
    """How long it takes to meet so many versions in one batch."""
    play = Play()
    play.traffic(1)
    at = play.at
    windows = []
    for i in range(n):
        windows.append(made(play.window(version=f"w{i}", n=1)))
        play.at = at
    batch = Batch([predictions(windows)])

    began = thread_time()
    play.step(batch)

    assert len(play.pipeline.state.arrays.ledger.versions[MODEL]) > 100
    return thread_time() - began
