"""One budget of false pages for all harms of a model."""

from __future__ import annotations

import math

import numpy as np

from tests.playbook import MODEL, Play
from watchkeeper.daemon.core.evidence import by_evidence, weighed
from watchkeeper.daemon.core.panel import Panel, Post
from watchkeeper.detectors.suite import Watch
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

    assert shown[0] < shown[1] == math.log(MONTH)


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


def test_what_explains_only_has_no_part_in_it() -> None:
    play = Play()
    play.traffic(30)
    posts, rows = known(play)

    explaining = [each for each in posts if not by_evidence(each)]

    assert weighed(explaining, rows, np.zeros(len(rows), dtype=np.int64), MONTH) is None
    watch = Watch(signal="errors", detector="shiryaev_roberts_rate")
    assert watch.severity is Severity.INFO
