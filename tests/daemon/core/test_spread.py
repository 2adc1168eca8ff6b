"""A model whose events lie in several partitions: judged as if they lay in one."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from zlib import crc32

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.playbook import MODEL, START, GoBack, Play, objects
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.spread import IDLE_S, Merge, take
from watchkeeper.daemon.core.state import State, share_of
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.blocks import LabelBlock, PredictionBlock
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import (
    AnyFrame,
    Finding,
    LabelFrame,
    MetricFrame,
    PredictionFrame,
    Sample,
    Severity,
    Tick,
)
from watchkeeper.handlers.rules import RULES

POLICY = ModelPolicy(watches=DEFAULT_WATCHES, learn_n=1_000, healthy_windows_min=5)


def pipeline() -> Pipeline:
    return Pipeline(State(lambda _: POLICY), RULES, (GoBack(),))


def reference() -> Profile:
    play = Play(seed=7)
    frames = [f for _ in range(20) for f in play.window() if isinstance(f, PredictionFrame)]
    return learn_profile(frames, MODEL, "v1", source="imported", positive="yes")


def story(seed: int) -> list[list[AnyFrame]]:
    """Healthy windows, then one of several faults: the frames of each window."""
    play = Play(seed=seed)
    faults = (
        {"failing": 0.3, "slow": 6.0},
        {"missing": 0.6, "wrong": 0.3},
        {"version": "v2", "wrong": 0.5},
    )
    windows = [play.window() for _ in range(40)]
    fault = faults[seed % len(faults)]
    windows += [play.window(**fault) for _ in range(12)]
    return windows


def jumbled(frame: AnyFrame, chance: random.Random) -> AnyFrame:
    """The frame's rows a little out of order, as lateness allows."""
    order = sorted(range(len(frame)), key=lambda i: frame.at[i] + chance.uniform(0.0, 4.0))
    return replace(frame.take(np.array(order, dtype=np.int64)), seq=frame.seq)


@dataclass
class Apart:
    """Shares that count, and the owner that is told of it when `tell` is called."""

    n: int
    owner: Pipeline = field(default_factory=pipeline)
    shares: list[Pipeline] = field(init=False)
    waiting: list[deque[Merge]] = field(init=False)
    findings: list[Finding] = field(default_factory=list)
    late: int = 0

    def __post_init__(self) -> None:
        self.shares = [pipeline() for _ in range(self.n)]
        self.waiting = [deque() for _ in range(self.n)]

    def refer(self, profile: Profile) -> None:
        self.owner.step(Batch(profiles=[profile]))
        for number, share in enumerate(self.shares):
            mine = msgspec.structs.replace(profile, model=share_of(MODEL, number))
            share.step(Batch(profiles=[mine]))

    def read(self, frames: Sequence[AnyFrame], tick: float | None = None) -> None:
        for number, share in enumerate(self.shares):
            mine = [part for f in frames if len(part := self._of(f, number))]
            share.step(Batch(mine, tick=None if tick is None else Tick(tick)))

    def _of(self, frame: AnyFrame, number: int) -> AnyFrame:
        if isinstance(frame, PredictionFrame | LabelFrame):
            rows = np.array([crc32(r.encode()) % self.n == number for r in frame.request_id])
        else:
            rows = np.full(len(frame), number == 0)
        return replace(frame.take(rows), model=share_of(MODEL, number))

    def checkpoint(self, number: int) -> None:
        share = self.shares[number].state.models.get(share_of(MODEL, number))
        if share is None or share.share is None:
            return
        parts = take(share)
        share.share.sent += 1
        mark = share.mark.newest
        merge = Merge(MODEL, number, self.n, share.share.sent, 1, mark, parts)
        self.waiting[number].append(merge)

    def tell(self, number: int, tick: float | None = None) -> None:
        merges = [self.waiting[number].popleft()] if self.waiting[number] else []
        step = self.owner.step(Batch(merges=merges, tick=None if tick is None else Tick(tick)))
        self.findings += step.findings
        self.late += sum(counts.late for counts in step.counts.values())


def plain(findings: Sequence[Finding]) -> list[str]:
    """Findings as text: a NaN is like any other."""
    return [repr(each) for each in findings]


def closed(found: Pipeline) -> float:
    return (found.state.models[MODEL].next_window or 0) * POLICY.window_s


@settings(max_examples=examples(8), deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 4))
def test_shares_are_judged_like_the_whole_however_they_are_cut_and_come(seed: int, n: int) -> None:
    chance = random.Random(seed)
    whole, apart, findings = pipeline(), Apart(n), []
    whole.step(Batch(profiles=[reference()]))
    apart.refer(reference())

    for frames in story(seed):
        given_ = [jumbled(frame, chance) for frame in frames]
        findings += whole.step(Batch(given_)).findings
        apart.read(given_)
        for number in chance.sample(range(n), n):
            if chance.random() < 0.7:
                apart.checkpoint(number)
            if chance.random() < 0.7:
                apart.tell(number)
    for number in range(n):
        apart.checkpoint(number)
        while apart.waiting[number]:
            apart.tell(number)

    reached = closed(apart.owner)
    assert reached >= START + 50 * 60.0
    expected = [f for f in findings if f.at <= reached]
    assert plain(apart.findings) == plain(expected)
    assert {f.severity for f in expected} - {Severity.INFO}
    assert apart.late == 0
    mine, theirs = (p.state.models[MODEL].incident for p in (apart.owner, whole))
    assert mine is not None
    assert theirs is not None
    assert (mine.id, mine.fault.kind, mine.opened_at) == (
        theirs.id,
        theirs.fault.kind,
        theirs.opened_at,
    )
    assert mine.version == theirs.version


@pytest.mark.slow
def test_a_share_and_its_whole_survive_being_stored() -> None:
    apart, again = Apart(2), Apart(2)
    for each in (apart, again):
        each.refer(reference())
    for number, frames in enumerate(story(3)):
        for each in (apart, again):
            each.read(frames)
            for part in range(2):
                each.checkpoint(part)
                each.tell(part)
        if number % 10 == 5:
            again.owner = restarted(again.owner)
            again.shares = [restarted(share) for share in again.shares]
            for share in again.shares:
                rejoined(share, story(3)[: number + 1])

    assert plain(again.findings) == plain(apart.findings)
    assert apart.findings


def test_counters_read_in_any_partition_are_judged_as_in_one() -> None:
    whole, apart = pipeline(), Apart(2)
    found: list[Sample] = []
    told: list[Sample] = []
    for i in range(60):
        count = 30.0 * i if i < 40 else 60.0 * (i - 40)
        reading = counter(START + 30.0 * i + 10.0, count)
        found += whole.step(Batch([reading])).samples
        share = replace(reading, model=share_of(MODEL, i % 2))
        apart.shares[i % 2].step(Batch([share]))
        for number in (0, 1):
            apart.checkpoint(number)
        if i % 3 == 2:
            for number in (1, 0, 1, 0, 1, 0):
                merges = [apart.waiting[number].popleft()] if apart.waiting[number] else []
                told += apart.owner.step(Batch(merges=merges)).samples

    rates = [(s.window.start, s.value) for s in told if s.series.target == "requests@h"]
    expected = [(s.window.start, s.value) for s in found if s.series.target == "requests@h"]
    assert len(rates) >= 24
    assert rates == expected[: len(rates)]
    assert {1.0, 2.0} <= {value for _, value in rates}


def counter(at: float, count: float) -> MetricFrame:
    """One reading of a counter."""
    names, hosts = objects(["requests"]), objects(["h"])
    value, counts = np.array([count]), np.ones(1, dtype=np.bool_)
    return MetricFrame(MODEL, np.array([at]), np.arange(1), names, value, hosts, counts)


def restarted(old: Pipeline) -> Pipeline:
    new = pipeline()
    for model in old.state.models:
        new.state.load(model, msgspec.msgpack.decode(msgspec.msgpack.encode(old.state.dump(model))))
    return new


def rejoined(share: Pipeline, read: list[list[AnyFrame]]) -> None:
    """Takes the events in again that label joins wait for, as they are kept."""
    name = next(iter(share.state.models))
    number = int(name[-1])
    for frames in read:
        for frame in frames:
            mine = Apart(2)._of(frame, number)
            if isinstance(mine, PredictionFrame):
                share.state.rejoin([PredictionBlock.of(mine)], {name})
            elif isinstance(mine, LabelFrame):
                share.state.rejoin([LabelBlock.of(mine)], {name})


def test_what_comes_after_its_window_closed_is_counted_as_late() -> None:
    apart, frames = Apart(2), story(0)
    apart.read(frames[0])
    for number in (0, 1):
        apart.checkpoint(number)
        apart.tell(number, tick=START + 60.0)
    held = {}
    for number, each in enumerate(frames[1:10]):
        apart.read(each)
        apart.checkpoint(0)
        apart.tell(0, tick=START + 120.0 + 60.0 * number)
        held[number] = closed(apart.owner)

    # The second partition is silent: its windows wait for it, but not for ever.
    assert held[1] < START + 60.0
    assert held[8] > START + 60.0 * 6
    apart.checkpoint(1)
    apart.tell(1)
    assert apart.late > 100


def test_a_silent_partition_is_waited_for_no_longer_than_it_may_be() -> None:
    apart = Apart(2)
    frames = story(0)
    for number in range(5):
        apart.read(frames[number])
        apart.checkpoint(0)
        apart.tell(0)

    assert closed(apart.owner) <= START
    apart.tell(1, tick=START + 300.0)
    assert closed(apart.owner) <= START
    apart.tell(1, tick=START + 300.0 + IDLE_S + 1.0)
    assert closed(apart.owner) <= START  # nothing new of the other one either
    apart.checkpoint(0)
    apart.tell(0)
    assert closed(apart.owner) >= START + 180.0


@pytest.mark.parametrize("known_to", ["owner", "shares"])
def test_of_another_reference_only_what_needs_none_is_merged(known_to: str) -> None:
    apart = Apart(2)
    if known_to == "owner":
        apart.owner.step(Batch(profiles=[reference()]))
    else:
        apart.refer(reference())
        apart.owner = pipeline()
    signals: dict[str, int] = {}
    for frames in story(0)[:5]:
        apart.read(frames)
        for number in (0, 1):
            apart.checkpoint(number)
            merges = [apart.waiting[number].popleft()]
            step = apart.owner.step(Batch(merges=merges))
            for sampled in step.sampled:
                for sample in sampled.samples():
                    name = sample.series.signal
                    signals[name] = max(sample.n, signals.get(name, 0))

    judged = {signal for signal, n in signals.items() if n}
    assert judged >= {"volume", "errors", "latency", "accuracy", "clients"}
    assert "features" not in judged


def test_a_model_that_is_not_spread_has_no_share_of_the_cost() -> None:
    play = Play()
    play.traffic(3)

    state = play.pipeline.state
    assert not state.shares
    assert not state.spread
    assert "links" not in state.dump(MODEL)
    assert "share" not in state.dump(MODEL)
