"""One budget of false pages for all harms of a model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.playbook import MODEL, Play
from watchkeeper.daemon.core.evidence import by_evidence, weighed
from watchkeeper.daemon.core.panel import Panel, Post
from watchkeeper.daemon.core.policy import Suite
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.banks import Columns, bank_for
from watchkeeper.detectors.banks.shiryaev_roberts import EvidenceBank
from watchkeeper.detectors.budgeting import EVIDENCE_SHARE
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import IntArray, Severity

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

    alone = weighed(posts, rows, models, MONTH)
    apart = [weighed([each], rows, models, MONTH) for each in posts if by_evidence(each)]

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

    assert weighed(explaining, rows, np.zeros(len(rows), dtype=np.int64), MONTH) is None
    watch = Watch(signal="errors", detector="shiryaev_roberts_rate")
    assert watch.severity is Severity.INFO


@dataclass
class Months:
    """Normal traffic of several models a window at a time, before the default watches that are
    weighed together."""

    models: int
    posts: list[Post] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = np.arange(self.models)
        for watch in DEFAULT_WATCHES:
            bank = bank_for(watch, 1) if watch.detector.startswith("shiryaev") else None
            if bank is not None:
                only = np.zeros(1, dtype=np.int64)
                post = Post(watch, 0, only, watch.signal, ("",), bank, b"", True, only)
                self.posts.append(post)

    def window(self, index: int, shares: dict[str, float], n: int, seed: int) -> bool:
        """Whether the window gives any model a finding that is worth a page."""
        random, found = np.random.default_rng([seed, index]), np.zeros(self.models, dtype=bool)
        times = np.full(self.models, 60.0 * index)
        blank, given = np.full((self.models, 1), np.nan), np.ones((self.models, 1), dtype=bool)
        for post in self.posts:
            sizes = random.poisson(n, (self.models, 1))
            value = random.binomial(sizes, shares[post.signal]) / np.maximum(sizes, 1)
            samples = Columns(
                post.signal, ("",), times, times + 60.0, given, value, sizes, blank, blank
            )
            found |= post.bank.judge_plainly(self.rows, samples).found[:, 0]
        if not found.any():
            return False
        held = weighed(self.posts, self.rows, self.rows, MONTH / EVIDENCE_SHARE)
        return held is not None and bool((found & held.passed).any())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_months_of_normal_traffic_keep_to_the_budget() -> None:
    months, windows, pages, before = Months(models=24), 15_000, 0, False

    for index in range(windows):
        level = 1 + 0.3 * np.sin(2 * np.pi * index / 1440)
        shares = {"errors": 0.005 * level, "output": 0.0005 * level, "accuracy": 0.85}
        now = months.window(index, shares, 200, seed=4)
        pages, before = pages + (now and not before), now

    accepted = EVIDENCE_SHARE * months.models * windows / MONTH
    assert pages <= accepted + 2 * math.sqrt(accepted)
