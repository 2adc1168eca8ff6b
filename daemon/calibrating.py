"""Measures how long detectors run without a finding on a user's own history, before they page."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.paging import long_enough, run_length_wanted
from watchkeeper.daemon.replay import Quiet, empty_store, replayed
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.transport.codec import Decoded
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.registry import needs_calibration
from watchkeeper.detectors.run_length import RunLength, run_length
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Sample, Samples, Series, Severity

UNBOUNDED = 1e9  # windows: a mean that may be as long has no upper bound worth telling
PASSES = 4  # times the wanted run length that are judged, for an interval worth having


class Row(msgspec.Struct, frozen=True):
    """One watch of one model: what was measured, and whether it may page by that.

    `watch` tells it apart from others of its name. `low` and `high` bound the mean windows between
    two runs of findings, with 95 % confidence. Who is bounded by construction may page whatever is
    measured; whose findings do not page at `severity` would have to be made critical, too.
    """

    model: str
    signal: str
    target: str
    detector: str
    severity: Severity
    watch: str
    series: int
    observed: int
    windows: int
    runs: int
    mean: float | None
    low: float
    high: float | None
    wanted: int
    may_page: bool


@dataclass
class _Gathering(Quiet):
    """Keeps the samples of every series that is asked about, besides counting."""

    wanted: Callable[[Series], bool] = lambda series: True
    history: dict[Series, list[Sample]] = field(default_factory=dict)

    def observe(self, step: Step, records: Records, decoded: Decoded) -> None:
        super().observe(step, records, decoded)
        for sampled in step.sampled:
            for sample in sampled.samples():
                self._keep(sample)
        for sample in step.samples:
            self._keep(sample)

    def _keep(self, sample: Sample) -> None:
        if sample.series in self.history or self.wanted(sample.series):
            self.history.setdefault(sample.series, []).append(sample)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which watches are measured: shell patterns over their names; every one by default."""

    model: str = "*"
    signal: str = "*"
    detector: str = "*"

    def watches(self, policy: ModelPolicy, series: Series) -> list[Watch]:
        """Those that stand over a series and are asked about."""
        if not fnmatchcase(series.model, self.model) or not fnmatchcase(series.signal, self.signal):
            return []
        return [w for w in policy.watches_of(series) if fnmatchcase(w.detector, self.detector)]


def calibrate(config: Config, files: Sequence[Path], asked: Asked) -> list[Row]:
    """The run lengths of watches on recorded events, by model and watch.

    The events go through the pipeline as in a replay, and must hold nothing that a detector should
    find. Raises `SourceError` where a file cannot be read.
    """

    def wanted(series: Series) -> bool:
        return bool(asked.watches(config.policy(series.model), series))

    gathering = _Gathering(wanted=wanted)
    with empty_store() as store:
        replayed(config, files, store, gathering)
    found: dict[tuple[str, str], tuple[Watch, list[RunLength]]] = {}
    for series in sorted(gathering.history):
        history, policy = Samples.of(gathering.history[series]), config.policy(series.model)
        for watch in asked.watches(policy, series):
            measured = run_length(watch, history, PASSES * run_length_wanted(policy))
            found.setdefault((series.model, watch.digest), (watch, []))[1].append(measured)
    return [_row(m, w, each, config.policy(m)) for (m, _), (w, each) in found.items()]


def save(store: Store, rows: Sequence[Row]) -> None:
    """Keeps what was measured: by it the daemon decides who may page."""
    for row in rows:
        found = RunLength(row.windows, row.runs, row.observed)
        store.calibrations.put(row.model, row.watch, found, time.time())


def _row(model: str, watch: Watch, found: Sequence[RunLength], policy: ModelPolicy) -> Row:
    """All series of a watch share one budget: their findings add up, in the time of one."""
    windows, observed = (
        max(n) for n in zip(*((r.windows, r.observed) for r in found), strict=True)
    )
    total = RunLength(windows, sum(each.runs for each in found), observed)
    low, high = total.interval()
    wanted = run_length_wanted(policy)
    return Row(
        model=model,
        signal=watch.signal,
        target=watch.target,
        detector=watch.detector,
        severity=watch.severity,
        watch=watch.digest,
        series=len(found),
        windows=total.windows,
        observed=total.observed,
        runs=total.runs,
        mean=total.mean if total.runs else None,
        low=low,
        high=high if high < UNBOUNDED else None,
        wanted=wanted,
        may_page=not needs_calibration(watch.detector) or long_enough(total, wanted),
    )
