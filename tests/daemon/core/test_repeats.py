"""Requests that are sent twice, and inputs that repeat others, are found and blamed on the data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pytest

from tests.playbook import MODEL, Play
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.types import AnyFrame, Finding, PredictionFrame
from watchkeeper.handlers.types import IncidentState, Kind

QUIET, TWICE = 40, 6


@dataclass
class Sent(Play):
    """A play in which a share of the predictions is sent again: as it is, or as another request."""

    again: float = 0.0
    renamed: bool = False
    sampled: bool = field(default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.policy = msgspec.structs.replace(self.policy, duplicates=self.sampled)

    def window(self, *args: object, **fields: object) -> list[AnyFrame]:
        frames = super().window(*args, **fields)  # type: ignore[arg-type]
        made = next(f for f in frames if isinstance(f, PredictionFrame))
        n = int(self.again * len(made))
        if not n:
            return frames
        more = made.take(slice(0, n))
        if self.renamed:
            more = replace(more, request_id=more.request_id + "-again")
        more = replace(more, seq=more.seq + 10_000)
        return [*frames, more]


def sent(play: Sent, again: float = 0.3, restart_every: int = 0) -> Sent:
    for i in range(QUIET + TWICE):
        play.again = again if i >= QUIET else 0.0
        play.traffic(1)
        if restart_every and i % restart_every == 0:
            play.restarted()
    return play


def signs(play: Play) -> list[Finding]:
    return [f for s in play.steps for f in s.findings if f.series.signal == "duplicates"]


def test_requests_that_come_twice_are_found_and_counted_once() -> None:
    play = sent(Sent())

    assert {f.series.target for f in signs(play)} == {"requests"}
    assert play.incident.fault.kind is Kind.DATA
    assert play.incident.fault.place == "what is sent"
    volume = [s.value for x in play.steps for y in x.sampled for s in y.samples("volume")]
    assert set(volume[1:]) == {120.0}  # the first window began without any


def test_where_joins_keep_a_sample_the_share_is_of_that() -> None:
    play = Sent(again=0.0)
    play.traffic(1)
    model = play.pipeline.state.models[MODEL]
    play.pipeline.state.arrays.joins.sampling.change(model.row, 2)
    play.again = 0.3

    play.traffic(30)

    shares = [s for x in play.steps for s in x.samples if s.series.target == "requests"][1:]
    n, again = sum(s.n for s in shares), sum(s.n * s.value for s in shares)
    assert n == pytest.approx(len(shares) * 1.3 * 120 / 4, rel=0.15)
    assert again / n == pytest.approx(0.3 / 1.3, abs=0.05)


def test_a_few_retries_open_nothing() -> None:
    play = sent(Sent(), again=0.03)

    assert signs(play) == []
    assert play.incidents == []


def test_it_ends_when_each_request_comes_once_again() -> None:
    play = sent(Sent())
    play.again = 0.0

    play.traffic(8)

    assert play.state() is IncidentState.RESOLVED


def test_inputs_that_repeat_others_are_found_where_that_is_asked_for() -> None:
    play = sent(Sent(sampled=True, renamed=True))

    assert {f.series.target for f in signs(play)} == {"inputs"}
    assert play.incident.fault.kind is Kind.DATA


def test_nothing_is_sampled_of_models_that_do_not_ask_for_it() -> None:
    play = sent(Sent(renamed=True))

    assert signs(play) == []
    assert play.pipeline.state.models[MODEL].partials == {}


@pytest.mark.parametrize("inputs", [False, True])
def test_a_restart_in_the_middle_changes_nothing(inputs: bool) -> None:
    straight = sent(Sent(sampled=inputs, renamed=inputs))
    stopped = sent(Sent(sampled=inputs, renamed=inputs), restart_every=7)

    assert [f.id for f in signs(straight)] == [f.id for f in signs(stopped)]
    assert signs(straight)


@pytest.mark.parametrize("inputs", [False, True])
def test_batches_of_any_size_are_the_same(inputs: bool) -> None:
    whole = sent(Sent(sampled=inputs, renamed=inputs))
    cut = Sent(sampled=inputs, renamed=inputs)

    for i in range(QUIET + TWICE):
        cut.again = 0.3 if i >= QUIET else 0.0
        for frame in cut.window():
            for rows in np.array_split(np.arange(len(frame)), 3):
                cut.step(Batch([frame.take(rows)]))

    assert [f.id for f in signs(whole)] == [f.id for f in signs(cut)]
    assert signs(whole)
