"""Puts detectors to series, and closed windows before the detectors."""

from __future__ import annotations

import math
from collections.abc import Iterator

from watchkeeper.daemon.core.ingest import LIVE
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import Judge, ModelState
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.signals import SIGNALS
from watchkeeper.detectors.types import Finding, Partial, Sample, Samples, Series, Window

SERIES_LIMIT = 5_000  # series a model may have; further ones are not judged


def samples_of(
    state: ModelState, index: int, window: Window, versions: list[str]
) -> Iterator[Sample]:
    """The samples of a closed window, in the fixed order of versions and signals."""
    partials = state.partials.get(index, {})
    for version in versions:
        profile = state.reference(version, window.start)
        for signal in SIGNALS:
            partial = partials.get((version, signal.name))
            if partial is None and version == state.live_version:
                partial = partials.get((LIVE, signal.name))
            if partial is None and (signal.name != "volume" or version != state.live_version):
                continue
            found = Partial() if partial is None else partial
            yield from signal.samples(found, profile, state.model, version, window)


def judged(state: ModelState, policy: ModelPolicy, sample: Sample) -> list[tuple[Judge, bool]]:
    """Every judge of the sample's series, and whether the sample was enough to judge by."""
    judges = state.judges.get(sample.series)
    if judges is None:
        full = len(state.judges) >= SERIES_LIMIT
        judges = [] if full else _posted(state, policy, sample.series)
        if not full:
            state.judges[sample.series] = judges
    finite = math.isfinite(sample.value)
    return [(j, finite and sample.n >= getattr(j.detector, "min_n", 0)) for j in judges]


def findings_of(
    state: ModelState, judge: Judge, sample: Sample, failures: list[str]
) -> list[Finding]:
    """What one judge finds in one sample. A detector that raises is dismissed and reported: a
    plugin's bug must not stop the watch over everything else."""
    try:
        return judge.detector.update(Samples.of([sample]))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises
        state.judges[sample.series] = [j for j in state.judges[sample.series] if j is not judge]
        failures.append(f"{sample.series}: detector {judge.watch.detector} dismissed: {error!r}")
        return []


def _posted(state: ModelState, policy: ModelPolicy, series: Series) -> list[Judge]:
    """New judges for a new series. Those of a new version take up what the version it replaces
    had taught them, so that a bad version is not its own idea of normal."""
    watches = policy.watches_of(series)
    before = _predecessor(state, series)
    judges = []
    for watch in watches:
        detector = make(watch.detector, watch.settings, watch.severity)
        for old in before:
            if old.watch == watch:
                detector.restore(old.detector.state())
        judges.append(Judge(watch, detector))
    return judges


def _predecessor(state: ModelState, series: Series) -> list[Judge]:
    older = [v for v in state.versions if v != series.version]
    older.sort(key=lambda v: (v == state.live_version, state.versions[v].last_seen), reverse=True)
    for version in older:
        found = state.judges.get(Series(series.model, version, series.signal, series.target))
        if found is not None:
            return found
    return []
