"""One budget of false pages for all harms of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from msgspec.structs import replace

from tests.playbook import MODEL, Play
from watchkeeper.daemon.config.config import Config
from watchkeeper.daemon.config.models import ModelSettings
from watchkeeper.daemon.config.sections import Daemon
from watchkeeper.daemon.core.evidence import by_evidence, weighed
from watchkeeper.daemon.core.measuring import COUNTED
from watchkeeper.daemon.core.panel import Panel, Post, evident, weighs
from watchkeeper.daemon.core.policy import ModelPolicy, Suite
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.banks import Columns, bank_for
from watchkeeper.detectors.banks.shiryaev_roberts import EvidenceBank
from watchkeeper.detectors.budgeting import EVIDENCE_SHARE
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import BoolArray, IntArray, Severity

MONTH = 43_200.0


def rates(play: Play) -> Panel:
    """The panel of the play's model."""
    (panel,) = {id(p): p for p in play.pipeline.state.arrays.panel_of.values()}.values()
    return panel


def known(play: Play) -> tuple[list[Post], IntArray]:
    panel = rates(play)
    return panel.posts, np.array(list(panel.places.values()), dtype=np.int64)


def test_evidence_is_shown_beside_what_it_must_pass() -> None:
    play = Play()
    play.traffic(60)

    (shown,) = {step.evidence[MODEL] for step in play.steps[-1:]}

    assert shown[0] < shown[1] == math.log(2 * MONTH)


def test_series_that_wander_are_said_to_be_not_calibrated() -> None:
    wandering, steady, found = Months(models=3), Months(models=3), []
    for months, size in ((wandering, 0.5), (steady, 0.0)):
        for index in range(400):
            level = 1 + size * math.sin(index / 10)
            shares = {"errors": 0.05 * level, "output": 0.02 * level, "accuracy": 0.85}
            months.window(index, shares, 3_000, seed=6)
        weight = weighed(evident(months.posts), months.rows, months.rows, MONTH)
        assert weight is not None
        found.append(weight.uncalibrated.tolist())

    assert found == [[2] * 3, [0] * 3]


@pytest.mark.slow
def test_a_model_without_errors_has_no_series_that_wander() -> None:
    play = Play()

    play.traffic(200, failing=0.0)

    assert {step.evidence[MODEL][2] for step in play.steps if MODEL in step.evidence} == {0}


@pytest.mark.slow
def test_errors_too_few_for_any_level_are_found_by_what_they_add_up_to() -> None:
    play = Play(seed=3)
    play.traffic(200, failing=0.01, n=300)

    play.traffic(120, failing=0.035, n=300)

    harm = [f for s in play.steps for f in s.findings if f.severity is Severity.CRITICAL]
    assert {f.detector for f in harm if f.series.signal == "errors"} >= {"shiryaev_roberts_rate"}
    assert min(f.at for f in harm) > play.at - 120 * 60


def test_the_evidence_of_one_of_many_series_must_be_strong_enough_for_all() -> None:
    play = Play()
    play.traffic(60)
    posts, rows = known(play)
    models = np.zeros(len(rows), dtype=np.int64)

    alone = weighed(evident(posts), rows, models, MONTH)
    single = [evident([each]) for each in posts if by_evidence(each)]
    apart = [weighed(banks, rows, models, MONTH) for banks in single]

    assert alone is not None
    parts = [math.exp(float(each.logarithm[0])) for each in apart if each is not None]
    counts = [len(each.columns) for each in posts if by_evidence(each)]
    together = sum(p * n for p, n in zip(parts, counts, strict=True)) / sum(counts)
    assert math.isclose(math.exp(float(alone.logarithm[0])), together, rel_tol=1e-9)


def test_one_series_can_be_enough_for_all_however_many_there_are() -> None:
    names = tuple(f"f{number}" for number in range(50))
    watch = Watch(
        signal="features",
        target="*:missing",
        detector="shiryaev_roberts_rate",
        severity=Severity.WARNING,
    )

    panel = Panel.of(Suite((watch,)), Schema(profiled=True, numeric=names))

    (post,) = panel.posts
    assert len(post.targets) == 50
    assert isinstance(post.bank, EvidenceBank)
    assert post.bank.most > post.bank.level + math.log(50)
    assert by_evidence(post)


def test_what_explains_only_has_no_part_in_it() -> None:
    play = Play()
    play.traffic(30)
    posts, rows = known(play)

    explaining = [each for each in posts if not by_evidence(each)]

    assert weighed(evident(explaining), rows, np.zeros(len(rows), dtype=np.int64), MONTH) is None
    watch = Watch(signal="errors", detector="shiryaev_roberts_rate")
    assert watch.severity is Severity.INFO


@dataclass
class Months:
    """Normal traffic of several models a window at a time, before the watches by evidence, which
    are weighed together. All models may be `alike`, to the last event."""

    models: int
    watches: Sequence[Watch] = tuple(DEFAULT_WATCHES)
    alike: bool = False
    posts: list[Post] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = np.arange(self.models)
        for watch in self.watches:
            together = weighs(watch) and watch.signal in COUNTED
            bank = bank_for(watch, 1) if together else None
            if bank is not None:
                only = np.zeros(1, dtype=np.int64)
                post = Post(watch, 0, only, watch.signal, ("",), bank, b"", True, only)
                self.posts.append(post)

    def window(
        self,
        index: int,
        shares: dict[str, float],
        n: int,
        seed: int,
        windows: float = MONTH / EVIDENCE_SHARE,
    ) -> BoolArray:
        """Which models the window gives a finding that is worth a page: one in so many `windows`
        is accepted."""
        random, found = np.random.default_rng([seed, index]), np.zeros(self.models, dtype=bool)
        times = np.full(self.models, 60.0 * index)
        blank, given = np.full((self.models, 1), np.nan), np.ones((self.models, 1), dtype=bool)
        for post in self.posts:
            sizes = random.poisson(n, (1 if self.alike else self.models, 1))
            value = random.binomial(sizes, shares[post.signal]) / np.maximum(sizes, 1)
            copies = self.models // len(sizes)
            value, sizes = np.repeat(value, copies, axis=0), np.repeat(sizes, copies, axis=0)
            samples = Columns(
                post.signal, ("",), times, times + 60.0, given, value, sizes, blank, blank
            )
            found |= post.bank.judge_plainly(self.rows, samples).found[:, 0]
        if not found.any():
            return found
        held = weighed(evident(self.posts), self.rows, self.rows, windows)
        return found if held is None else np.asarray(found & held.passed)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_months_of_normal_traffic_keep_to_the_budget() -> None:
    months, windows, pages, before = Months(models=24), 15_000, 0, False

    for index in range(windows):
        level = 1 + 0.3 * np.sin(2 * np.pi * index / 1440)
        shares = {"errors": 0.005 * level, "output": 0.0005 * level, "accuracy": 0.85}
        now = bool(months.window(index, shares, 200, seed=4).any())
        pages, before = pages + (now and not before), now

    accepted = EVIDENCE_SHARE * months.models * windows / MONTH
    assert pages <= accepted + 2 * math.sqrt(accepted)


def fleet(models: int, budget: str, own: str) -> ModelPolicy:
    """What holds for each of so many models that share a budget, besides each having its own."""
    config = Config(
        daemon=Daemon(max_models=models, fleet_false_alarms=budget),
        defaults=ModelSettings(false_alarms=own),
    )
    return config.policy("any")


def test_a_fleets_budget_raises_what_evidence_must_pass() -> None:
    alone, together = Play(), Play()
    together.policy = fleet(50, "1 per 6 days", "1 per 30 days")
    for each in (alone, together):
        each.traffic(30)

    levels = [each.steps[-1].evidence[MODEL][1] for each in (alone, together)]

    assert levels == pytest.approx([math.log(2 * MONTH), math.log(2 * 50 * 6 * 1_440)])


def test_a_fleets_budget_never_gives_a_model_more_than_its_own() -> None:
    policy = fleet(2, "10 per hour", "1 per 30 days")

    assert policy.false_alarm_s == 30 * 86_400.0


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("alike", [False, True])
def test_a_fleet_of_quiet_models_keeps_to_one_budget(alike: bool) -> None:
    windows, models = 2_000, 240
    policy = fleet(models, "1 per 1000 min", "1 per 1000 min")
    touchy = [
        replace(each, settings={**each.settings, "min_change": 0.0})
        for each in policy.watches
        if each.detector == "shiryaev_roberts_rate"
    ]
    months, pages = Months(models, touchy, alike), 0
    level = policy.false_alarm_s / policy.window_s / EVIDENCE_SHARE
    before = np.zeros(models, dtype=np.bool_)

    for index in range(windows):
        shares = {"errors": 0.05, "output": 0.02, "accuracy": 0.85}
        now = months.window(index, shares, 100, seed=5, windows=level)
        pages, before = pages + int((now & ~before).sum()), now

    assert pages <= EVIDENCE_SHARE * windows / 1_000
