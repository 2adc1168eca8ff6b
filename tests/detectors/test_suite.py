"""The default watches: what they find, and that they are silent otherwise."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np
import pytest

from tests.detectors.streams import fired, samples, shares, steps
from tests.examples import repeated
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import FloatArray, Samples, Severity

MONTH = 43_200
LEVEL = np.ones(MONTH)
DAY = 1 + 0.3 * np.sin(2 * np.pi * np.arange(MONTH) / 1440)


def watches(signal: str, target: str, severity: Severity | None = None) -> list[Watch]:
    return [
        w
        for w in DEFAULT_WATCHES
        if w.signal == signal
        and fnmatchcase(target, w.target)
        and (severity is None or w.severity == severity)
    ]


def first(
    signal: str, target: str, severity: Severity, given: Samples, *, alone: bool = False
) -> int:
    """The first window with a finding of a default watch of this severity; `alone`: of one that
    pages by itself, not only if the evidence of the whole model does."""
    found = [
        place
        for watch in watches(signal, target, severity)
        if not (alone and watch.detector.startswith("shiryaev_roberts"))
        for place in fired(make(watch.detector, watch.settings, watch.severity), given)
    ]
    return min(found, default=10**9)


def quantile(seed: int, level: FloatArray, n: int = 200) -> Samples:
    """The 99th percentile of log-normal durations of n requests a window."""
    random = np.random.default_rng(seed)
    gauss = np.sort(random.normal(0, 0.5, (len(level), n)), axis=1)[:, int(0.99 * n)]
    return samples(0.05 * np.exp(gauss) * level, n, 0.01 * level)


@pytest.mark.parametrize("watch", DEFAULT_WATCHES, ids=lambda w: f"{w.signal}-{w.target}")
def test_every_watch_can_be_stood(watch: Watch) -> None:
    make(watch.detector, watch.settings, watch.severity)


def test_drift_never_pages() -> None:
    drifting = [w for w in DEFAULT_WATCHES if w.signal in ("features", "metrics", "logs")]

    assert drifting
    assert all(w.severity != Severity.CRITICAL for w in drifting)


@pytest.mark.parametrize(
    ("signal", "target"),
    [
        ("volume", ""),
        ("errors", "error_rate"),
        ("errors", "timeout_rate"),
        ("latency", "p95"),
        ("latency", "p99"),
        ("output", "invalid_rate"),
        ("accuracy", "accuracy"),
        ("accuracy", "f1"),
        ("accuracy", "roc_auc"),
        ("accuracy", "log_loss"),
        ("accuracy", "rmse"),
        ("clients", ""),
    ],
)
def test_harm_pages(signal: str, target: str) -> None:
    assert watches(signal, target, Severity.CRITICAL)


@pytest.mark.parametrize("what", ["missing", "unseen", "out_of_range"])
def test_broken_inputs_warn(what: str) -> None:
    assert watches("features", f"age:{what}", Severity.WARNING)


@pytest.mark.parametrize("seed", range(10))
def test_an_error_rate_of_five_per_cent_pages_within_a_few_windows(seed: int) -> None:
    given = shares(np.random.default_rng(seed), steps((0.005, 200), (0.05, 30)), 200)

    assert 200 <= first("errors", "error_rate", Severity.CRITICAL, given) <= 207


@pytest.mark.parametrize("seed", range(10))
def test_twice_the_latency_pages_within_a_few_windows(seed: int) -> None:
    given = quantile(seed, steps((1, 200), (2, 30)))

    assert 200 <= first("latency", "p99", Severity.CRITICAL, given) <= 206


@pytest.mark.parametrize("seed", range(10))
def test_eight_points_of_accuracy_page_within_a_few_windows(seed: int) -> None:
    given = shares(np.random.default_rng(seed), steps((0.85, 200), (0.77, 30)), 200)

    assert 200 <= first("accuracy", "accuracy", Severity.CRITICAL, given) <= 212


def test_better_accuracy_and_lower_latency_page_nobody() -> None:
    better = shares(np.random.default_rng(1), steps((0.8, 200), (0.95, 200)), 200)
    faster = quantile(2, steps((1, 200), (0.3, 200)))

    assert first("accuracy", "accuracy", Severity.CRITICAL, better) == 10**9
    assert first("latency", "p99", Severity.CRITICAL, faster) == 10**9


def test_a_silent_service_pages_in_the_second_window() -> None:
    counts = steps((200, 100), (0, 10))

    assert first("volume", "", Severity.CRITICAL, samples(counts, counts)) == 101


def test_a_feature_missing_in_thirty_per_cent_warns_in_the_second_window() -> None:
    given = shares(np.random.default_rng(3), steps((0.01, 50), (0.3, 10)), 200, expected=0.01)

    assert first("features", "age:missing", Severity.WARNING, given) == 51


@pytest.mark.parametrize("level", [LEVEL, DAY], ids=["steady", "daily"])
@pytest.mark.parametrize("seed", repeated([1, 2]))
def test_a_month_of_normal_traffic_pages_nobody(level: FloatArray, seed: int) -> None:
    random = np.random.default_rng(seed)
    volume = random.poisson(200 * level).astype(np.float64)

    given = {
        ("errors", "error_rate"): shares(random, 0.005 * level, 200),
        ("errors", "timeout_rate"): shares(random, 0.001 * level, 100),
        ("output", "invalid_rate"): shares(random, 0.0005 * level, 200),
        ("accuracy", "accuracy"): shares(random, np.full(MONTH, 0.85), 200),
        ("clients", ""): shares(random, 0.1 * level, 200),
        ("latency", "p99"): quantile(seed, level),
        ("accuracy", "log_loss"): samples(random.normal(0.4, 0.03, MONTH), 200, 0.03),
        ("volume", ""): samples(volume, volume),
    }

    pages = {at: first(*at, Severity.CRITICAL, stream, alone=True) for at, stream in given.items()}
    assert set(pages.values()) == {10**9}
