"""Multivariate drift: how soon features that go together otherwise are found, where none drifts.

Models of ten normal features of which two are correlated by 0.8 (or none is), 2,000 rows to learn
from, windows of 120 rows, a change after 300 of them that leaves each feature as it was. Judged by
the built-in watches of the signal `joint` with their settings; delays are windows from the change
to the first finding of any of them. Beside it, on the same rows: the built-in watches of single
features, and what is usual elsewhere, the mean reconstruction error by principal components of 65 %
of the variance outside mean +- 3 sd of the reference's chunks.

What was tuned on what: the watches' smallest effects on such streams of other seeds, for findings
within ten windows and none in still ones; the number of bins, rows and features were chosen once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.detectors.signals.frames import predictions
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.frames import FloatArray, PredictionFrame
from watchkeeper.detectors.joint.learned import learned_with_joint
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.signals.features import Features
from watchkeeper.detectors.signals.joint import Joint
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import Detector, Sample, Samples, Window

FEATURES, LEARNED, ROWS = 10, 2_000, 120
BEFORE, AFTER, SINGLE = 300, 60, 30  # windows; single features are watched from so many before
CHANGES = {"lost": (0.8, 0.0), "made": (0.0, 0.8), "turned": (0.8, -0.8), "weaker": (0.8, 0.5)}
_JOINT, _FEATURES = Joint(), Features()


class Found(NamedTuple):
    """Windows from the change to the first finding (infinite: none), and findings before it."""

    delay: float
    false: int


def rows(random: np.random.Generator, n: int, correlation: float) -> FloatArray:
    """Normal features (n, 10), the first two of them correlated."""
    drawn = random.normal(size=(n, FEATURES))
    drawn[:, 1] = correlation * drawn[:, 0] + math.sqrt(1 - correlation**2) * drawn[:, 1]
    return drawn


def _frame(drawn: FloatArray) -> PredictionFrame:
    columns = {f"f{place}": column for place, column in enumerate(drawn.T)}
    return predictions(len(drawn), numeric=columns)


class Watching:
    """The built-in watches of one signal."""

    def __init__(self, signal: str, profile: Profile) -> None:
        self._watches = [w for w in DEFAULT_WATCHES if w.signal == signal]
        self._profile, self._judges = profile, dict[tuple[str, int], Detector]()

    def finds(self, samples: Iterable[Sample]) -> bool:
        """Whether any of the watches finds something in a window."""
        found = False
        for each in samples:
            for number, watch in enumerate(self._watches):
                key = each.series.target, number
                if fnmatchcase(key[0], watch.target):
                    if key not in self._judges:
                        made = make(watch.detector, watch.settings, watch.severity)
                        self._judges[key] = made
                    found |= bool(self._judges[key].update(Samples.of([each])))
        return found


class Reconstructing:
    """The mean error of a window's rows without what principal components explain."""

    def __init__(self, learned: FloatArray) -> None:
        self._mean, self._sd = learned.mean(axis=0), learned.std(axis=0)
        variance, directions = np.linalg.eigh(np.corrcoef(learned.T))
        kept = int(np.searchsorted(np.cumsum(variance[::-1]) / variance.sum(), 0.65)) + 1
        self._rest = directions[:, : FEATURES - kept]
        whole = learned[: LEARNED // ROWS * ROWS]
        chunks = [self._error(chunk) for chunk in np.split(whole, LEARNED // ROWS)]
        self._usual, self._off = float(np.mean(chunks)), 3 * float(np.std(chunks))

    def finds(self, drawn: FloatArray) -> bool:
        """Whether a window's error is outside of what the reference's chunks have."""
        return abs(self._error(drawn) - self._usual) > self._off

    def _error(self, drawn: FloatArray) -> float:
        z = (drawn - self._mean) / self._sd
        return float(np.sqrt(((z @ self._rest) ** 2).sum(axis=1)).mean())


def run(change: tuple[float, float], seed: int, after: int = AFTER) -> dict[str, Found]:
    """What each way of watching finds on one model's windows."""
    random = np.random.default_rng(seed)
    learned = rows(random, LEARNED, change[0])
    reference = learn_profile([_frame(learned)], "m", "1")
    profile = learned_with_joint(reference, [_frame(learned)])
    joint, single = Watching("joint", profile), Watching("features", profile)
    usual, delays, false = Reconstructing(learned), dict[str, int](), dict[str, int]()
    for number in range(-BEFORE, after):
        drawn = rows(random, ROWS, change[number >= 0])
        found = {"joint": joint.finds(_joint_samples(_frame(drawn), profile, number))}
        found["reconstruction"] = usual.finds(drawn)
        if number >= -SINGLE:
            found["single features"] = single.finds(_single(_frame(drawn), profile, number))
        for way in (way for way, is_found in found.items() if is_found):
            if number < 0:
                false[way] = false.get(way, 0) + 1
            else:
                delays.setdefault(way, number + 1)
        if "joint" in delays and number >= 20:
            break
    ways = ("joint", "single features", "reconstruction")
    return {way: Found(delays.get(way, math.inf), false.get(way, 0)) for way in ways}


def _joint_samples(frame: PredictionFrame, profile: Profile, number: int) -> list[Sample]:
    part = _JOINT.sketch(PredictionBlock.of(frame), profile)
    return [*_JOINT.samples(part, profile, "m", "1", _window(number))]


def _single(frame: PredictionFrame, profile: Profile, number: int) -> list[Sample]:
    part = _FEATURES.measure(frame, profile)
    return [*_FEATURES.samples(part, profile, "m", "1", _window(number))]


def _window(number: int) -> Window:
    return Window(60.0 * number, 60.0 * number + 60.0)


def _median(delays: Iterable[float]) -> float:
    return float(np.median([*delays]))


Runs = dict[str, list[dict[str, Found]]]


def measure(data: Path, *, quick: bool) -> dict[str, object]:
    """All figures; `data` is not needed. `quick` takes fewer models."""
    del data
    models = 5 if quick else 20
    runs: Runs = {
        name: [run(change, 100 * place + seed) for seed in range(models)]
        for place, (name, change) in enumerate(CHANGES.items())
    }
    every = [each for of in runs.values() for each in of]
    others = ("single features", "reconstruction")
    return {
        "multivariate_delay": {n: _median(r["joint"].delay for r in of) for n, of in runs.items()},
        "multivariate_missed": sum(math.isinf(each["joint"].delay) for each in every),
        "multivariate_false_alarms": sum(each["joint"].false for each in every),
        "multivariate_windows": BEFORE * len(every),
        "multivariate_rows": {way: _row(runs, way) for way in others},
    }


def _row(runs: Runs, way: str) -> str:
    """Median delays, misses, and how many windows before the changes had a finding."""
    every = [each[way] for of in runs.values() for each in of]
    delays = " / ".join(f"{_median(r[way].delay for r in of):.0f}" for of in runs.values())
    missed = sum(math.isinf(each.delay) for each in every) / len(every)
    before = (SINGLE if way == "single features" else BEFORE) * len(every)
    false = sum(each.false for each in every) / before
    return f"{delays} windows, {missed:.0%} missed, {false:.1%} of still windows"


def anchors() -> list[tuple[str, str, str]]:
    """Key, anchor, goal."""
    return [
        ("multivariate_delay", "single features find none", "at most 10 windows of 120 each"),
        ("multivariate_missed", "single features miss all", "0"),
        ("multivariate_false_alarms", "-", "2 in 86,400 windows"),
    ]
