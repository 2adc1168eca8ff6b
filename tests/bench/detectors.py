"""`make bench NAME=detectors`: what the detectors find, how soon, at how many false findings.

One line a case of the default suite: false runs of findings in 30 days of minutes without a fault,
the delay of the first finding in windows over many seeds, the share of the fault's windows with a
finding. One line a detector: microseconds a sample and bytes of state.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from tests.detectors.streams import fired, samples, shares, steps
from watchkeeper.detectors.checks import stream
from watchkeeper.detectors.registry import detector_names, make
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.detectors.types import Detector, FloatArray, Samples, Severity

RESULT = Path("build/bench/detectors.json")
MONTH = 43_200
BEFORE, FAULT = 200, 60
Draw = Callable[[np.random.Generator, FloatArray], Samples]


class Case(msgspec.Struct, frozen=True):
    """One default watch, a stream for it, and the level of the stream without and with a fault."""

    name: str
    signal: str
    target: str
    detector: str
    draw: Draw
    normal: float
    faulty: float

    @property
    def watch(self) -> Watch:
        """The default watch that the case is about."""
        mine = (self.signal, self.target, self.detector)
        return next(w for w in DEFAULT_WATCHES if (w.signal, w.target, w.detector) == mine)


class Found(msgspec.Struct):
    """What the default watch made of a case."""

    case: str
    false_runs_a_month: float
    median_delay: float | None
    longest_delay: float | None
    missed: float
    kept: float


class Cost(msgspec.Struct):
    """What one detector needs."""

    detector: str
    sample_us: float
    state_bytes: int


def share_of(n: int, expected: float = float("nan")) -> Draw:
    """Binomial shares of about n events."""
    return lambda random, level: shares(random, level, n, expected)


def quantile(random: np.random.Generator, level: FloatArray) -> Samples:
    """The 99th percentile of 300 log-normal durations."""
    durations = np.sort(random.normal(0, 0.5, (len(level), 300)), axis=1)
    return samples(level * np.exp(durations[:, 297]), 300, 0.01 * level)


def around(spread: float) -> Draw:
    """A measure with normal noise, known to its standard error."""
    return lambda random, level: samples(random.normal(level, spread), 200, spread)


def count(random: np.random.Generator, level: FloatArray) -> Samples:
    """Poisson counts."""
    counts = random.poisson(level)
    return samples(counts, counts)


MISSING = ("features", "*:missing", "reference_z")
CASES = [
    Case("error rate 0.5 to 5 %, n 100", "errors", "*", "ewma", share_of(100), 0.005, 0.05),
    Case("error rate 0.5 to 5 %, n 300", "errors", "*", "ewma", share_of(300), 0.005, 0.05),
    Case("p99 twice as long, n 300", "latency", "p99", "ewma", quantile, 0.1, 0.2),
    Case("accuracy 85 to 77 %, n 200", "accuracy", "accuracy", "ewma", share_of(200), 0.85, 0.77),
    Case("log loss 30 % up", "accuracy", "log_loss", "ewma", around(0.03), 0.4, 0.52),
    Case("AUC 7 points down", "accuracy", "roc_auc", "ewma", around(0.03), 0.85, 0.78),
    Case("missing 1 to 30 %, n 200", *MISSING, share_of(200, 0.01), 0.01, 0.3),
    Case("silence after 200 a window", "volume", "*", "silence", count, 200.0, 0.0),
    Case("load 30 to 80 %", "metrics", "*", "robust_z", around(5.0), 30.0, 80.0),
]


def judged(case: Case, months: float, seeds: int) -> Found:
    """False findings of a long normal stream, then delays of many short ones with a fault."""
    random = np.random.default_rng(0)
    quiet = fired(_fresh(case), case.draw(random, np.full(int(months * MONTH), case.normal)))
    runs = sum(place - 1 not in quiet for place in quiet)
    level = steps((case.normal, BEFORE), (case.faulty, FAULT))
    delays, kept = [], []
    for seed in range(seeds):
        places = fired(_fresh(case), case.draw(np.random.default_rng(seed), level))
        hits = [place - BEFORE + 1 for place in places if place >= BEFORE]
        if hits:
            delays.append(hits[0])
            kept.append(len(hits) / (FAULT + 1 - hits[0]))
    return Found(
        case.name,
        runs / months,
        float(np.median(delays)) if delays else None,
        max(delays, default=None),
        1 - len(delays) / seeds,
        float(np.mean(kept)) if kept else 0.0,
    )


def cost(name: str) -> Cost:
    """Time and memory over the stream of the conformance checks, once it is warm."""
    detector, given = make(name, {}, Severity.INFO), Samples.of(stream(2_000))
    detector.update(given)
    began = time.perf_counter()
    detector.update(given)
    spent = (time.perf_counter() - began) / len(given)
    return Cost(name, spent * 1e6, len(msgspec.msgpack.encode(detector.state())))


def _fresh(case: Case) -> Detector:
    return make(case.watch.detector, case.watch.settings, case.watch.severity)


def _table(rows: list[Found] | list[Cost]) -> Table:
    table = Table(*(name.replace("_", " ") for name in rows[0].__struct_fields__))
    for row in rows:
        cells = msgspec.structs.astuple(row)
        table.add_row(*(f"{each:.2f}" if isinstance(each, float) else str(each) for each in cells))
    return table


def main() -> None:
    """Measures, prints two tables and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=float, default=3.0, help="of normal traffic a case")
    parser.add_argument("--seeds", type=int, default=100, help="faults a case")
    asked = parser.parse_args()
    found = [judged(case, asked.months, asked.seeds) for case in CASES]
    costs = [cost(name) for name in detector_names()]
    console = Console()
    console.print(_table(found), _table(costs))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    whole = {"found": found, "costs": costs}
    RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(whole)) + b"\n")


if __name__ == "__main__":
    main()
