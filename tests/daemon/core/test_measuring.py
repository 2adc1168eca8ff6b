"""What is measured beside predictions: counters as rates, bounded names, hosts by version."""

from __future__ import annotations

import numpy as np

from tests.daemon.core.plays import in_order
from tests.playbook import MODEL, START, Play, objects
from watchkeeper.daemon.core.measuring import METRICS_LIMIT
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.types import AnyFrame, MetricFrame


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
