"""Judges binary classifiers by stretches of time, from the predictions that label joins keep: those
of models whose users asked for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.estimation import judged
from watchkeeper.detectors.estimation.judged import TARGETS, Judged, Kept, Said
from watchkeeper.detectors.estimation.running import Taught
from watchkeeper.detectors.signals import Stretch
from watchkeeper.detectors.signals._disagreement import key_of
from watchkeeper.detectors.types import Finding, Sample, Series, Severity, Window, moment

UNHELD = "join"  # stands for a detector where the join lets go of predictions too soon
WAITED = 3  # stretches that a harm found by one may go without a verdict
PART = 100  # of the time in which one false alarm is accepted: no stretch is shorter
_PLACES = 1024  # so many models do not all end their stretches at once


class Ended(NamedTuple):
    """A window of a version that ended: its place among others, and its row in the arrays."""

    place: int
    model: ModelState
    policy: ModelPolicy
    version: str
    member: int
    window: Window


class Stretched(NamedTuple):
    """What is to be put before detectors, and what it is about in a sentence."""

    place: int
    sample: Sample
    text: str


class Unheld(NamedTuple):
    """That nothing can be judged, for the label join is too short."""

    place: int
    finding: Finding


def has(model: ModelState, policy: ModelPolicy) -> bool:
    """Whether a model is judged by stretches."""
    return policy.stretches and not model.links


def let_go(model: ModelState, version: str) -> None:
    """Nothing is kept of the stretches of a version that is not judged by any."""
    taught = None if model.estimates is None else model.estimates.versions.get(version)
    if taught is not None and not taught.judged.new:
        taught.judged = Judged()


def lasting(policy: ModelPolicy) -> int:
    """The windows of the shortest stretch."""
    return max(1, math.ceil(policy.false_alarm_s / PART / policy.window_s))


def patience(model: ModelState, policy: ModelPolicy, at: float) -> int:
    """In how many windows a verdict on a harm has to come: in some stretches, and as long as any
    label took that is known of. Looks at all that the model's label join keeps."""
    _, waits = model.arrays.joins.held.waits(model.row, at)
    took = float(np.max(waits, initial=0.0, where=np.isfinite(waits)))
    return WAITED * lasting(policy) + math.ceil(took / policy.window_s)


def may_end(model: ModelState, version: str, at: float) -> bool:
    """Whether a stretch of a version may end at this time; quickly, for it is asked often."""
    taught = None if model.estimates is None else model.estimates.versions.get(version)
    return taught is not None and at >= taught.judged.until and taught.speaks


def stretched(windows: Iterable[Ended], positive: str) -> Iterator[Stretched | Unheld]:
    """What has become known of stretches by the end of these windows, at which some `may_end`."""
    for each in windows:
        assert each.model.estimates is not None
        taught = each.model.estimates.versions[each.version]
        bound, after = _bounds(each)
        if taught.judged.due(bound, after):
            kept = _kept(each, positive)
            since = each.model.arrays.joins.held.kept_since(each.model.row)
            for start, n in _left(taught.judged, kept, bound, since):
                yield Unheld(each.place, _unheld(each, start, n))
            taught.judged.lost(min(since, bound))
            for said in _said(each, taught, bound, kept):
                yield Stretched(each.place, _sample(each, said), _text(said))


def _bounds(ended: Ended) -> tuple[float, float]:
    """The last time up to the end of a window at which stretches may end, and the next one: always
    ends of windows, not the same ones of all models."""
    width = ended.policy.window_s
    windows = lasting(ended.policy)
    key = int(ended.model.arrays.clocks.arrays["key"][ended.model.row])
    shift = (key % _PLACES) * windows // _PLACES
    number = round(ended.window.end / width)
    last = (number - shift) // windows * windows + shift
    return last * width, (last + windows) * width


def _kept(ended: Ended, positive: str) -> Kept:
    joins = ended.model.arrays.joins
    known = joins.held.answered(ended.model.row, ended.member, ended.window.end)
    return known.of_class(key_of(positive))


def _left(of: Judged, kept: Kept, bound: float, since: float) -> Iterator[tuple[float, int]]:
    """The starts of stretches that cannot be judged, for only those made
    `since` are kept, which are too few: the oldest that waits for labels, and the one that grows;
    and how many are left."""
    if of.held and of.held[0].start < since and not of.held[0].said:
        first = of.held[0]
        left = int(np.count_nonzero((kept.at >= first.start) & (kept.at < first.end)))
        if left < judged.SIZE // 2:
            yield first.start, left
    n = of.grown(kept, bound)
    if of.begun < since and n < judged.SIZE:
        yield of.begun, n


def _unheld(ended: Ended, since: float, n: int) -> Finding:
    series = Series(ended.model.model, ended.version, Stretch.name, "")
    capacity, room = ended.policy.join_capacity, ended.model.arrays.joins.room(ended.model.row)
    setting = f"join_capacity = {capacity}" if room >= capacity else "daemon.join_memory_mb"
    text = (
        f"no stretch can be judged: of {judged.SIZE:,} predictions or more {n:,} are kept until "
        f"their labels came; {setting} is too small"
    )
    nan, parts = math.nan, (float(n), float(judged.SIZE))
    until = ended.window.end
    return Finding(
        series, UNHELD, Severity.INFO, since, until, *parts, nan, nan, n, "down", statement=text
    )


def _said(ended: Ended, taught: Taught, bound: float, kept: Kept) -> list[Said]:
    incident, horizon = ended.model.incident, ended.policy.join_horizon_s
    learns = incident is None or not incident.open
    return taught.judged.judge(kept, taught.curve, bound, horizon, learns=learns)


def _sample(ended: Ended, said: Said) -> Sample:
    series = Series(ended.model.model, ended.version, Stretch.name, said.target)
    window = Window(said.stretch.start, said.stretch.end)
    return Sample(series, window, said.value, said.stretch.n, said.error, said.expected)


def _text(said: Said) -> str:
    since, until = (moment(at) for at in (said.stretch.start, said.stretch.end))
    when = f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
    return f"{said.target} from {when} ({said.why}: {said.coverage:.0%} of the labels)"


def recovered(model: ModelState, version: str, target: str) -> bool:
    """Whether the last stretch of which that is known did as well as is normal, and ended after
    the incident's harm began, or after the version went live, or after what was done last."""
    taught = None if model.estimates is None else model.estimates.versions.get(version)
    incident = model.incident
    if taught is None or incident is None or target not in TARGETS:
        return False
    since = incident.since if version == incident.version else incident.opened_at
    since = max(since, since if model.verify_since is None else model.verify_since)
    return taught.judged.well_after(target, since)
