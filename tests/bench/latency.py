"""How long a finding takes, and a record to come out of a poll that does nothing with it."""

from __future__ import annotations

import statistics
import time
from contextlib import closing

import msgspec
import numpy as np

from tests.bench.broker import Running
from tests.bench.cases import KINDS, Job, Spent, polls, serving, used
from tests.bench.traffic import Shape, model_name, model_of
from watchkeeper.daemon.config.models import ModelSettings, WatchSettings
from watchkeeper.daemon.config.units import Duration
from watchkeeper.detectors.types import Finding, Severity

LIVE = Shape(models=10, a_minute=12_000, begin=0, alone=True)
LIVE_S = 24.0
_SKIPPED_S = 2.0  # of findings: the first windows are not whole, and code is compiled


def latency(job: Job) -> Spent:
    """From when the event that closes a window is due to be written until a turn has returned the
    finding: 10 models with a finding in every window, of 0.8 to 1.2 seconds."""
    windows = {model_name(i): 0.8 + 0.04 * i for i in range(LIVE.models)}
    models = {name: _always(window) for name, window in windows.items()}
    late: list[float] = []
    with serving(job, models=models) as service:
        deadline = time.monotonic() + 30
        while len(service.loop.owns) < len(KINDS) and time.monotonic() < deadline:
            service.turn(0.05)
        begin = _begun(job)
        before, early = used(), 0
        while time.time() < begin + LIVE_S:
            step = service.turn(0.05)
            now = time.time()
            for finding in step.findings:
                took = now - closing_event(finding, begin)
                early += took < 0
                if took >= 0 and finding.at > begin + _SKIPPED_S:
                    late.append(took * 1000)
        cpu, wall = (b - a for a, b in zip(before, used(), strict=True))
        incidents = len(service.store.records.incidents())
    spent = _told(late, cpu, wall)
    return msgspec.structs.replace(
        spent, more={**spent.more, "by_ticks": early, "incidents": incidents}
    )


def bare_latency(job: Job) -> Spent:
    """From when a record is due to be written until an empty poll loop has it."""
    late: list[float] = []
    with closing(polls(job)) as reading:
        next(reading)
        begin = _begun(job)
        before = used()
        while time.time() < begin + LIVE_S:
            _, records = next(reading)
            now = time.time()
            due = [
                begin + each.offset * LIVE.spacing_us / 1e6
                for group in records.values()
                for each in group
            ]
            late += [(now - at) * 1000 for at in due if at > begin + _SKIPPED_S]
        cpu, wall = (b - a for a, b in zip(before, used(), strict=True))
    return _told(late, cpu, wall)


def _begun(job: Job) -> float:
    """Has the events written; gives when the first of them is due."""
    broker = Running(int(job.bootstrap.rpartition(":")[2]), job.control)
    begin = round(time.time() + 0.5, 3)
    broker.ask(ask="live", stream=job.stream, begin=begin, seconds=LIVE_S)
    return begin


def _told(late: list[float], cpu: float, wall: float) -> Spent:
    """The percentiles of what took so many milliseconds each."""
    if len(late) < 100:
        raise RuntimeError(f"only {len(late)} came: too few to tell a 99th percentile of")
    cuts = statistics.quantiles(late, n=100)
    return Spent(
        events=len(late),
        cpu_s=cpu,
        wall_s=wall,
        more={
            "p50_ms": cuts[49],
            "p95_ms": cuts[94],
            "p99_ms": cuts[98],
            "max_ms": max(late),
            "share_of_a_core": cpu / wall,
        },
    )


def _always(window_s: float) -> ModelSettings:
    watch = WatchSettings(
        signal="latency",
        target="p50",
        detector="threshold",
        severity=Severity.INFO,
        settings={"above": 0.001, "for_windows": 1, "min_n": 1},
    )
    return ModelSettings(window=Duration(window_s), lateness=Duration(0), detectors=[watch])


def closing_event(finding: Finding, begin: float) -> float:
    """When the first event of the model at or after the window's end was due, by the times that
    the events bear, which are whole microseconds: one a rounding error before the end closes
    nothing."""
    first = max(int((finding.at - begin) * 1e6 / LIVE.spacing_us) - 1, 0)
    events = np.arange(first, first + 2 * LIVE.models + 2, dtype=np.int64)
    due = (round(begin * 1e6) + events * LIVE.spacing_us) / 1e6
    mine = [model_name(number) == finding.series.model for number in model_of(LIVE, events)]
    return float(due[np.array(mine) & (due >= finding.at)][0])
