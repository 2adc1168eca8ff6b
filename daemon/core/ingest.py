"""Takes one model's frames in: late rows apart, joins, references, and partials into windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from msgspec.structs import replace

from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import ModelState
from watchkeeper.daemon.core.step import Counts, Step
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.signals import SIGNALS
from watchkeeper.detectors.signals.metrics import TARGETS
from watchkeeper.detectors.types import (
    AnyFrame,
    BoolArray,
    ChangeFrame,
    FloatArray,
    Frame,
    JoinedFrame,
    LabelFrame,
    MetricFrame,
    Partial,
    PredictionFrame,
)
from watchkeeper.detectors.windows import arrived, first_open, window_index, window_of
from watchkeeper.handlers.types import VersionRecord

CHANGES_LIMIT = 50
VERSIONS_LIMIT = 50  # versions whose record is kept
OPEN_LIMIT = 20  # versions that are told apart in the open windows
TAUGHT_LIMIT = 5  # versions whose reference and detectors are kept
METRICS_LIMIT = TARGETS - 1  # different (name, host) of metrics told apart; all others are one
OTHER = "__other__"
COUNT = ""  # stands for a signal's name in the partials: how many predictions a window had
LIVE = ""  # stands for the version that is live once the window is closed


def ingest(state: ModelState, policy: ModelPolicy, frames: Sequence[AnyFrame], step: Step) -> None:
    """Brings all frames of one batch and model into the open windows."""
    counts = step.counts.setdefault(state.model, Counts())
    arrivals = _arrive(state, policy, frames)
    for frame, (too_late, before) in zip(frames, arrivals, strict=True):
        counts.late += int(too_late.sum())
        if isinstance(frame, PredictionFrame):
            _predictions(state, policy, _told_apart(state, frame), too_late, before, step)
        elif isinstance(frame, LabelFrame):
            _labels(state, policy, frame, too_late, step)
        elif isinstance(frame, ChangeFrame):
            step.changes.extend(frame.events)
            state.changes.extend(frame.events)
            state.changes.sort(key=lambda change: change.time)
            del state.changes[:-CHANGES_LIMIT]
        else:
            kept = frame.take(~too_late)
            if isinstance(kept, MetricFrame):
                kept = _bounded(state, kept)
            _measure(state, policy, kept, LIVE)
    step.dirty.add(state.model)


def _arrive(
    state: ModelState, policy: ModelPolicy, frames: Sequence[AnyFrame]
) -> list[tuple[BoolArray, FloatArray]]:
    """Moves the model's newest time on; gives for each frame the mask of late rows, and the newest
    time before each row."""
    at = np.concatenate([frame.at for frame in frames])
    order = np.argsort(np.concatenate([frame.seq for frame in frames]), kind="stable")
    if state.next_window is None:
        state.next_window = first_open(float(at[order[0]]), policy.lateness_s, policy.window_s)
    state.live_stream = abs(float(at.max()) - state.last_tick) <= _live_skew(policy)
    leap = max(policy.window_s, 60.0) + policy.lateness_s
    result = arrived(at[order], state.mark, policy.lateness_s, policy.window_s, leap)
    state.mark = result.mark
    state.behind_s = max(state.last_tick - result.mark.newest, 0.99 * state.behind_s, 0.0)
    late, before = np.empty(len(at), dtype=np.bool_), np.empty(len(at), dtype=np.float64)
    late[order], before[order] = result.late, result.before
    cuts = np.cumsum([len(frame) for frame in frames])[:-1]
    return list(zip(np.split(late, cuts), np.split(before, cuts), strict=True))


def _told_apart(state: ModelState, frame: PredictionFrame) -> PredictionFrame:
    """The frame under its version, or under one name for all versions beyond the limit."""
    known = {version for by_key in state.partials.values() for version, _ in by_key}
    if frame.version in known | {state.live_version} or len(known) < OPEN_LIMIT:
        return frame
    return dataclasses.replace(frame, version=OTHER)


def _live_skew(policy: ModelPolicy) -> float:
    """How far event time may be from the ticks' time for a stream to count as live, seconds."""
    return max(300.0, 5 * policy.window_s)


def _predictions(
    state: ModelState,
    policy: ModelPolicy,
    frame: PredictionFrame,
    late: BoolArray,
    before: FloatArray,
    step: Step,
) -> None:
    counts = step.counts[state.model]
    fresh = state.join.new(frame)
    if not fresh.all():
        counts.conflicts += int((~fresh).sum())
        frame, late, before = frame.take(fresh), late[fresh], before[fresh]
    if not len(frame):
        return
    counts.predictions += len(frame)
    step.captured.append(frame)
    _meet(state, frame)
    closed = np.floor((before - policy.lateness_s) / policy.window_s) * policy.window_s
    for joined in state.join.predictions(frame, closed):
        counts.joined += len(joined)
        _accuracy(state, policy, joined)
    for part, rows in _learned(state, policy, frame, step):
        on_time = part.take(~late[rows])
        _measure(state, policy, on_time, part.version)
        _count(state, policy, on_time)


def _labels(
    state: ModelState, policy: ModelPolicy, frame: LabelFrame, late: BoolArray, step: Step
) -> None:
    counts = step.counts[state.model]
    counts.labels += len(frame)
    step.captured.append(frame)
    conflicts, orphans = state.join.conflicts, state.join.orphans
    for rows, measured in ((~late, True), (late, False)):
        if not rows.any():
            continue
        for joined in state.join.labels(frame.take(rows)):
            counts.joined += len(joined)
            if measured:
                _accuracy(state, policy, joined)
    counts.conflicts += state.join.conflicts - conflicts
    counts.unmatched += state.join.orphans - orphans


def _accuracy(state: ModelState, policy: ModelPolicy, joined: JoinedFrame) -> None:
    _measure(state, policy, joined, joined.version)


def _meet(state: ModelState, frame: PredictionFrame) -> None:
    """A version seen for the first time starts with the reference of the one that is live."""
    version, at = frame.version, float(frame.at[0])
    if version in state.versions:
        return
    inherited = state.profiles.get(state.live_version)
    if inherited is not None and version not in state.profiles:
        state.profiles[version] = inherited
    state.versions[version] = VersionRecord(version, first_seen=at, last_seen=at)
    if not state.live_version:
        state.live_version = version
    _forget_old(state, version)


def _forget_old(state: ModelState, met: str) -> None:
    """Versions come and go for years: only the last ones stay in memory, and the one just met."""
    newest = sorted(state.versions, key=lambda v: -state.versions[v].last_seen)
    kept = {state.live_version, met}
    for version in set(newest[TAUGHT_LIMIT:]) - kept:
        state.profiles.pop(version, None)
        state.learning.pop(version, None)
        for series in [s for s in state.judges if s.version == version]:
            del state.judges[series]
    for version in set(newest[VERSIONS_LIMIT:]) - kept:
        del state.versions[version]


def _bounded(state: ModelState, frame: MetricFrame) -> MetricFrame:
    """The frame with metrics beyond the limit under one name."""
    pairs = list(zip(frame.name, frame.host, strict=True))
    for pair in dict.fromkeys(pairs):
        if pair not in state.metrics and len(state.metrics) < METRICS_LIMIT:
            state.metrics.add(pair)
    strange = np.array([pair not in state.metrics for pair in pairs], dtype=np.bool_)
    if not strange.any():
        return frame
    name, host = frame.name.copy(), frame.host.copy()
    name[strange], host[strange] = OTHER, None
    return dataclasses.replace(frame, name=name, host=host)


def _learned(
    state: ModelState, policy: ModelPolicy, frame: PredictionFrame, step: Step
) -> Iterator[tuple[PredictionFrame, slice]]:
    """Cuts a frame at the very row with which its version's reference is complete."""
    version = frame.version
    if version in state.profiles:
        yield frame, slice(0, len(frame))
        return
    gathered = state.learning.setdefault(version, [])
    missing = policy.learn_n - sum(len(part) for part in gathered)
    gathered.append(frame.take(slice(0, missing)))
    if len(frame) < missing:
        yield frame, slice(0, len(frame))
        return
    yield frame.take(slice(0, missing)), slice(0, missing)
    profile = learn_profile(
        gathered, state.model, version, source="learned", positive=policy.positive
    )
    state.profiles[version] = profile
    step.profiles.append(profile)
    del state.learning[version]
    if len(frame) > missing:
        yield frame.take(slice(missing, None)), slice(missing, len(frame))


def _measure(state: ModelState, policy: ModelPolicy, frame: Frame, version: str) -> None:
    for index, rows in _by_window(state, policy, frame):
        profile = state.reference(version, window_of(index, policy.window_s).start)
        into = state.partials.setdefault(index, {})
        for signal in SIGNALS:
            if signal.watches is type(frame):
                partial = signal.measure(rows, profile)
                into.setdefault((version, signal.name), Partial()).merge(partial)


def _count(state: ModelState, policy: ModelPolicy, frame: PredictionFrame) -> None:
    for index, rows in _by_window(state, policy, frame):
        into = state.partials.setdefault(index, {})
        count = Partial(n=np.array([len(rows)], dtype=np.int64))
        into.setdefault((frame.version, COUNT), Partial()).merge(count)
    record = state.versions[frame.version]
    if len(frame):
        newest = max(record.last_seen, float(frame.at.max()))
        state.versions[frame.version] = replace(
            record, last_seen=newest, predictions=record.predictions + len(frame)
        )


def _by_window(state: ModelState, policy: ModelPolicy, frame: Frame) -> Iterator[tuple[int, Frame]]:
    """The frame's rows of each open window."""
    if not len(frame):
        return
    index = window_index(frame.at, policy.window_s)
    first = state.next_window or 0
    for each in np.unique(index).tolist():
        if each >= first:
            rows = index == each
            yield each, frame if rows.all() else frame.take(rows)
