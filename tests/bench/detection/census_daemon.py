"""The census through the core itself: what a daemon with its built-in watches says of it.

A row is taken for 13 seconds, so that a chunk is as long as the shortest stretch that is judged
of a model with the usual budget of false alarms: a hundredth of 30 days. Stretches are asked for
(`stretches = true`): by default nothing is judged so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tests.bench.detection.census_data import CHUNK, Part
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.detectors.estimation.trust import BAND
from watchkeeper.detectors.profiling import profile_from_columns
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import (
    BoolArray,
    FloatArray,
    IntArray,
    LabelFrame,
    ObjectArray,
    PredictionFrame,
    Severity,
)
from watchkeeper.handlers.rules import RULES

_MODEL, _VERSION = "census", "1"
ROW_S = 13.0
LONGEST = 20 * CHUNK  # rows that a label may take
_TARGETS, _SHOWN = ("accuracy", "roc_auc", "f1"), ("accuracy", "auc", "f1")


class Heard(NamedTuple):
    """What was said of each chunk: the estimate and its band, in points, (n, 3), NaN where there
    was none; whether a measure was found outside its limits, on whichever side, and whether
    somebody was paged for that (n,); and how long after its end, in chunks."""

    estimate: FloatArray
    band: FloatArray
    outside: BoolArray
    paged: BoolArray
    waited: FloatArray


def through_the_core(found: Heard, truth: FloatArray) -> dict[str, object]:
    """How far estimates are from the chunks' `truth`, of those of which something was said."""
    off = np.abs(found.estimate - truth)
    given = np.isfinite(off)
    mean = np.where(given, off, 0.0).sum(axis=0) / np.maximum(given.sum(axis=0), 1)
    inside = off <= found.band
    each = (inside & given).sum(axis=0) / np.maximum(given.sum(axis=0), 1)
    return {
        "estimate_error": dict(zip(_SHOWN, mean.tolist(), strict=True)),
        "estimate_coverage": float(inside[given].mean()) if given.any() else 0.0,
        "estimate_coverage_by_measure": dict(zip(_SHOWN, each.tolist(), strict=True)),
        "estimate_given": float(given.mean()),
    }


def by_daemon(
    reference: Part, stream: Part, delay: FloatArray, told: BoolArray, *, weighted: bool = False
) -> Heard:
    """Both passing one after the other, a chunk a window. The labels of the reference come at once,
    those of the stream that are `told` `delay` rows later; the profile is the reference's, of its
    features only where estimates are `weighted` for them."""
    whole = [len(part.chunks()) * CHUNK for part in (reference, stream)]
    before, after = reference.take(slice(whole[0])), stream.take(slice(whole[1]))
    rows = Part(*(np.concatenate(pair) for pair in zip(before, after, strict=True)))
    at = np.arange(len(rows.score), dtype=np.float64) + 0.5
    late = np.where(told, delay, np.inf)[: whole[1]]
    known = at + np.concatenate([np.zeros(whole[0]), late])
    names = np.array([f"r{each}" for each in range(len(at))], dtype=np.object_)
    pipeline = Pipeline(State(lambda _: _policy(weighted)), RULES, ())
    profile = profile_from_columns(
        _features(before) if weighted else {}, model=_MODEL, version=_VERSION,
        label=_texts(before.answer), score=before.score, at=np.zeros(whole[0]), positive="yes",
    )  # fmt: skip
    pipeline.step(Batch(profiles=[profile]))
    heard = _nothing(len(stream.chunks()))
    for end, frames in _frames(rows, at, known, names, weighted):
        _note(heard, pipeline.step(Batch(frames)), whole[0], end)
    return heard


def _nothing(n: int) -> Heard:
    estimate, band = np.full((2, n, len(_TARGETS)), np.nan)
    outside, paged = np.zeros((2, n), dtype=np.bool_)
    return Heard(estimate, band, outside, paged, np.full(n, np.nan))


def _features(part: Part) -> dict[str, FloatArray]:
    """All columns but the score, which is the last one."""
    return {f"f{i}": part.codes[:, i].astype(np.float64) for i in range(part.codes.shape[1] - 1)}


def _policy(weighted: bool) -> ModelPolicy:
    return ModelPolicy(
        window_s=CHUNK * ROW_S,
        lateness_s=0.0,
        watches=DEFAULT_WATCHES,
        join_horizon_s=LONGEST * ROW_S,
        weighted=weighted,
        stretches=True,
    )


def _frames(
    rows: Part, at: FloatArray, told: FloatArray, names: ObjectArray, weighted: bool
) -> Iterator[tuple[int, list[Any]]]:
    """The predictions of each chunk, and the labels that come in it and after the last one; and
    where it ends."""
    order = np.argsort(told, kind="stable")
    last = told[np.isfinite(told)].max(initial=0.0)
    for end in range(CHUNK, int(last) + 2 * CHUNK, CHUNK):
        mine = np.flatnonzero((at >= end - CHUNK) & (at < end))
        came = order[(told[order] >= end - CHUNK) & (told[order] < end)]
        frames: list[Any] = [_predicted(rows, at, names, mine, weighted)] if len(mine) else []
        if len(came):
            frames.append(_labelled(rows, told, names, came, len(mine)))
        yield end, frames


def _predicted(
    rows: Part, at: FloatArray, names: ObjectArray, mine: IntArray, weighted: bool
) -> PredictionFrame:
    n = len(mine)
    return PredictionFrame(
        model=_MODEL,
        at=at[mine] * ROW_S,
        seq=np.arange(n),
        version=_VERSION,
        request_id=names[mine],
        entity=np.full(n, None, dtype=np.object_),
        duration_s=np.full(n, np.nan),
        status=np.zeros(n, dtype=np.int64),
        label=_texts(rows.answer[mine]),
        score=rows.score[mine],
        value=np.full(n, np.nan),
        output_valid=np.ones(n, dtype=np.bool_),
        numeric=_features(rows.take(mine)) if weighted else {},
        categorical={},
    )


def _labelled(
    rows: Part, told: FloatArray, names: ObjectArray, came: IntArray, first: int
) -> LabelFrame:
    return LabelFrame(
        model=_MODEL,
        at=told[came] * ROW_S,
        seq=first + np.arange(len(came)),
        request_id=names[came],
        label=_texts(rows.truth[came]),
        value=np.full(len(came), np.nan),
    )


def _texts(yes: BoolArray) -> ObjectArray:
    return np.where(yes, "yes", "no").astype(np.object_)


def _note(heard: Heard, step: Step, begin: int, end: int) -> None:
    for each in step.samples:
        chunk = _chunk(each.window.start, begin)
        known = each.series.signal == "estimate" and each.series.target in _TARGETS
        if known and 0 <= chunk < len(heard.paged):
            place = _TARGETS.index(each.series.target)
            heard.estimate[chunk, place] = 100.0 * each.value
            heard.band[chunk, place] = 100.0 * BAND * each.stderr
    for found in step.findings:
        chunk = _chunk(found.since, begin)
        if found.series.signal == "stretch" and 0 <= chunk < len(heard.paged):
            heard.outside[chunk] = True
            heard.paged[chunk] |= found.severity is Severity.CRITICAL
            # What a step brings is closed by the next one.
            waited = (end - CHUNK - begin) / CHUNK - (chunk + 1)
            heard.waited[chunk] = np.fmin(heard.waited[chunk], waited)


def _chunk(start: float, begin: int) -> int:
    return (round(start / ROW_S) - begin) // CHUNK
