"""Puts samples of closed windows before the detectors that are kept as objects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress

from watchkeeper.daemon.core.closing import LABELLED_MIN, Closing
from watchkeeper.daemon.core.labelling import note_judged
from watchkeeper.daemon.core.measuring import COUNTED, LIVE
from watchkeeper.daemon.core.model import Judge, ModelState
from watchkeeper.daemon.core.step import Step
from watchkeeper.detectors.protocols import Levelled
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.signals import SIGNALS
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Finding, Partial, Sample, Samples, Series, Severity

SERIES_LIMIT = 5_000  # series of one model whose detectors are objects; further ones are not judged


def judge_objects(closing: Closing, step: Step) -> None:
    """Puts the samples of what is kept in parts before their detectors."""
    for number, sample in enumerate(_samples_of(closing)):
        step.samples.append(sample)
        series = sample.series
        if series.signal == "accuracy":
            closing.model.labelled = True
            if sample.n >= LABELLED_MIN:
                closing.known.add(series.version)
        found = judge_one(closing, sample, closing.policy.watches, (number, 0), step)
        note_judged(closing, sample, found)


def _samples_of(closing: Closing) -> Iterator[Sample]:
    model = closing.model
    partials = model.partials.get(closing.index, {})
    for version, name in sorted(partials):
        signal = next(each for each in SIGNALS if each.name == name)
        of = model.live_version if version == LIVE and name not in COUNTED else version
        profile = model.reference(of, closing.window.start)
        part: Partial = partials[version, name]
        yield from signal.samples(part, profile, model.model, of, closing.window)


def is_watched(closing: Closing, series: Series) -> bool:
    """Whether some watch stands over a series."""
    return bool(closing.model.judges.get(series) or closing.policy.watches_of(series))


def judge_one(
    closing: Closing,
    sample: Sample,
    watches: Sequence[Watch],
    place: tuple[int, int],
    step: Step,
) -> bool:
    """Puts a sample before the detectors of its series, of those of these watches that stand over
    it; `place` is where its findings stand among others. Says whether there were any."""
    series, anything = sample.series, False
    finite = math.isfinite(sample.value)
    for number, judge_ in enumerate(_judges(closing, series, watches)):
        enough = finite and sample.n >= getattr(judge_.detector, "min_n", 0)
        found = _findings_of(closing.model, judge_, sample, step.failures)
        anything = anything or bool(found)
        for finding in found:
            closing.add((series.version, series.signal, *place, number), finding)
        if judge_.watch.severity is not Severity.INFO and enough:
            closing.judged(series, judge_.watch, bool(found))
        if series.version == closing.model.live_version:
            _show(series, judge_, step)
    return anything


def _judges(closing: Closing, series: Series, watches: Sequence[Watch]) -> list[Judge]:
    """The judges of a series, posted when it is met for the first time."""
    model = closing.model
    known = model.judges.get(series)
    if known is None:
        if len(model.judges) >= SERIES_LIMIT:
            return []
        known = model.judges[series] = _posted(closing, series, watches)
    return known


def _findings_of(
    model: ModelState, judge_: Judge, sample: Sample, failures: list[str]
) -> list[Finding]:
    """What one judge finds in one sample. A detector that raises is dismissed and reported: a
    plugin's bug must not stop the watch over everything else."""
    try:
        return judge_.detector.update(Samples.of([sample]))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises
        model.judges[sample.series] = [j for j in model.judges[sample.series] if j is not judge_]
        failures.append(f"{sample.series}: detector {judge_.watch.detector} dismissed: {error!r}")
        return []


def _show(series: Series, judge_: Judge, step: Step) -> None:
    """Says how odd the series is by a detector that says so all the time; a plugin's may fail."""
    with suppress(Exception):
        if isinstance(judge_.detector, Levelled):
            step.levels[series, judge_.watch.detector] = float(judge_.detector.oddness)


def _posted(closing: Closing, series: Series, watches: Sequence[Watch]) -> list[Judge]:
    """New judges for a new series. Those of a new version take up what the version it replaces
    had taught them, so that a bad version is not its own idea of normal."""
    suite, model = closing.policy.suite, closing.model
    before, judges = _taught_before(model, series), []
    for watch in watches:
        if not suite.stands(watch, series.signal, series.target):
            continue
        detector = make(watch.detector, watch.settings, watch.severity)
        for old in before:
            if old.watch == watch:
                detector.restore(old.detector.state())
        judges.append(Judge(watch, detector))
    return judges


def _taught_before(model: ModelState, series: Series) -> list[Judge]:
    for version in model.older(series.version):
        found = model.judges.get(Series(series.model, version, series.signal, series.target))
        if found is not None:
            return found
    return []
