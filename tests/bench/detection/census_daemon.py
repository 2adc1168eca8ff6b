"""The census through the core itself: what a daemon with its built-in watches estimates of it."""

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
)
from watchkeeper.handlers.rules import RULES

_MODEL, _VERSION = "census", "1"
_TARGETS, _SHOWN = ("accuracy", "roc_auc", "f1"), ("accuracy", "auc", "f1")


class Estimated(NamedTuple):
    """What was estimated of each chunk, and its band, in points, (n, 3); NaN where nothing was
    said."""

    estimate: FloatArray
    band: FloatArray


def through_the_core(
    reference: Part, stream: Part, truth: FloatArray, delay: FloatArray
) -> dict[str, object]:
    """How far estimates are from the chunks' `truth`, of those of which something was said."""
    found = by_daemon(reference, stream, delay)
    off = np.abs(found.estimate - truth)
    given = np.isfinite(off)
    mean = np.where(given, off, 0.0).sum(axis=0) / np.maximum(given.sum(axis=0), 1)
    inside = (off <= found.band)[given]
    return {
        "estimate_error_by_daemon": dict(zip(_SHOWN, mean.tolist(), strict=True)),
        "estimate_coverage_by_daemon": float(inside.mean()) if len(inside) else 0.0,
        "estimate_given_by_daemon": float(given.mean()),
    }


def by_daemon(reference: Part, stream: Part, delay: FloatArray) -> Estimated:
    """Both passing one after the other, a row a second and a chunk a window. The labels of the
    reference come at once, those of the stream `delay` seconds later; the profile is the
    reference's."""
    whole = [len(part.chunks()) * CHUNK for part in (reference, stream)]
    before, after = reference.take(slice(whole[0])), stream.take(slice(whole[1]))
    rows = Part(*(np.concatenate(pair) for pair in zip(before, after, strict=True)))
    at = np.arange(len(rows.score), dtype=np.float64) + 0.5
    told = at + np.concatenate([np.zeros(whole[0]), delay[: whole[1]]])
    names = np.array([f"r{each}" for each in range(len(at))], dtype=np.object_)
    pipeline = Pipeline(State(lambda _: _policy()), RULES, ())
    profile = profile_from_columns(
        {}, model=_MODEL, version=_VERSION, label=_texts(before.answer), score=before.score,
        at=np.zeros(whole[0]), positive="yes",
    )  # fmt: skip
    pipeline.step(Batch(profiles=[profile]))
    found = np.full((2, len(stream.chunks()), len(_TARGETS)), np.nan)
    for frames in _frames(rows, at, told, names):
        _note(found, pipeline.step(Batch(frames)), whole[0])
    return Estimated(100.0 * found[0], 100.0 * BAND * found[1])


def _policy() -> ModelPolicy:
    return ModelPolicy(
        window_s=float(CHUNK), lateness_s=0.0, watches=DEFAULT_WATCHES, join_capacity=1_000_000
    )


def _frames(rows: Part, at: FloatArray, told: FloatArray, names: ObjectArray) -> Iterator[Any]:
    """The predictions of each chunk, and the labels that come in it. The last chunk is closed by
    the labels that come after it."""
    order = np.argsort(told, kind="stable")
    for end in range(CHUNK, len(at) + 2 * CHUNK, CHUNK):
        mine = np.flatnonzero((at >= end - CHUNK) & (at < end))
        came = order[(told[order] >= end - CHUNK) & (told[order] < end)]
        frames: list[Any] = [_predicted(rows, at, names, mine)] if len(mine) else []
        if len(came):
            frames.append(_labelled(rows, told, names, came, len(mine)))
        yield frames


def _predicted(rows: Part, at: FloatArray, names: ObjectArray, mine: IntArray) -> PredictionFrame:
    n = len(mine)
    return PredictionFrame(
        model=_MODEL,
        at=at[mine],
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
        numeric={},
        categorical={},
    )


def _labelled(
    rows: Part, told: FloatArray, names: ObjectArray, came: IntArray, first: int
) -> LabelFrame:
    return LabelFrame(
        model=_MODEL,
        at=told[came],
        seq=first + np.arange(len(came)),
        request_id=names[came],
        label=_texts(rows.truth[came]),
        value=np.full(len(came), np.nan),
    )


def _texts(yes: BoolArray) -> ObjectArray:
    return np.where(yes, "yes", "no").astype(np.object_)


def _note(found: FloatArray, step: Step, begin: int) -> None:
    for each in step.samples:
        chunk = (int(each.window.start) - begin) // CHUNK
        known = each.series.signal == "estimate" and each.series.target in _TARGETS
        if known and 0 <= chunk < found.shape[1]:
            place = _TARGETS.index(each.series.target)
            found[:, chunk, place] = each.value, each.stderr
