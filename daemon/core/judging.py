"""Puts detectors to series, and closed windows before the detectors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fnmatch import fnmatchcase

from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import Judge, ModelState
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.signals import SIGNALS
from watchkeeper.detectors.suite import Watch
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


def findings_of(judge: Judge, sample: Sample) -> list[Finding]:
    """What one judge finds in one sample."""
    return judge.detector.update(Samples.of([sample]))


def _posted(state: ModelState, policy: ModelPolicy, series: Series) -> list[Judge]:
    """New judges for a new series. Those of a new version take up what the version it replaces
    had taught them, so that a bad version is not its own idea of normal."""
    watches = [w for w in policy.watches if _stands(w, series, policy.without)]
    before = _predecessor(state, series)
    judges = []
    for watch in watches:
        detector = make(watch.detector, watch.settings, watch.severity)
        for old in before:
            if old.watch == watch:
                detector.restore(old.detector.state())
        judges.append(Judge(watch, detector))
    return judges


def _stands(watch: Watch, series: Series, without: tuple[str, ...]) -> bool:
    if watch.signal != series.signal or not fnmatchcase(series.target, watch.target):
        return False
    name = f"{series.signal}/{series.target}:{watch.detector}"
    return not any(fnmatchcase(name, pattern) for pattern in without)


def _predecessor(state: ModelState, series: Series) -> list[Judge]:
    older = [v for v in state.versions if v != series.version]
    older.sort(key=lambda v: (v == state.live_version, state.versions[v].last_seen), reverse=True)
    for version in older:
        found = state.judges.get(Series(series.model, version, series.signal, series.target))
        if found is not None:
            return found
    return []
