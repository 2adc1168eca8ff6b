"""Rows of predictions or labels of many models to blocks, without a frame for each model."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import numpy as np

from watchkeeper.daemon.transport.codec.columns import (
    LABEL,
    PREDICTION,
    Refusals,
    Rows,
    answers_of,
    bad_name,
    times,
)
from watchkeeper.daemon.transport.codec.features import (
    Features,
    feature_columns,
    floats,
    objects,
)
from watchkeeper.daemon.transport.codec.fill import members_of, named
from watchkeeper.daemon.transport.codec.json import Row
from watchkeeper.daemon.transport.codec.shapes import BulkKind
from watchkeeper.detectors.blocks import Block, LabelBlock, PredictionBlock
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.texts import Words
from watchkeeper.detectors.types import STATUS_CODES, FloatArray

_MODEL, _VERSION = attrgetter("model_name"), attrgetter("model_version")


def blocks_of(kind: BulkKind, rows: Rows) -> tuple[list[Block], Refusals]:
    """The blocks of these rows, none with many holes, and the rows that belong in none."""
    refused: Refusals = []
    at, right = times(rows, refused)
    places = _named(kind, rows, right, refused)
    if not places:
        return [], refused
    if kind == "label":
        return [_labels(rows, at, places)], refused
    blocks: list[Block] = []
    for part, features, wrong in feature_columns([rows.rows[i].features for i in places]):
        refused += [(rows.seq[places[i]], why) for i, why in wrong]
        if part:
            blocks.append(_predictions(rows, at, [places[i] for i in part], features))
    return blocks, refused


def _named(kind: BulkKind, rows: Rows, places: Sequence[int], refused: Refusals) -> Sequence[int]:
    """The places of rows whose model and version have names that may be."""
    chosen = [rows.rows[i] for i in places]
    names = [_MODEL, _VERSION] if kind == "prediction" else [_MODEL]
    columns = [Words.of([*map(name, chosen)]) for name in names]
    good = np.ones(len(chosen), dtype=np.bool_)
    for column in columns:
        good &= named(column)
    if good.all():
        return places
    for i in np.flatnonzero(~good).tolist():
        wrong = bad_name([column.words[column.codes[i]] for column in columns])
        if wrong is not None:
            refused.append((rows.seq[places[i]], wrong))
    return [places[i] for i in np.flatnonzero(good).tolist()]


def _predictions(
    rows: Rows, at: FloatArray, places: list[int], features: Features
) -> PredictionBlock:
    chosen: list[Row] = [rows.rows[i] for i in places]
    request, entity, duration, status, answers = zip(*map(PREDICTION, chosen), strict=True)
    models, versions = Words.of([*map(_MODEL, chosen)]), Words.of([*map(_VERSION, chosen)])
    members, member = members_of(models, versions)
    label, score, value, valid = answers_of(answers)
    return PredictionBlock(
        members=members,
        member=member,
        at=at[places],
        seq=np.array([rows.seq[i] for i in places], dtype=np.int64),
        key=keys_of(request),
        request_id=objects(request),
        entity_key=keys_of(entity),
        entity=objects(entity),
        duration_s=floats(duration),
        status=np.array([*map(STATUS_CODES.__getitem__, status)], dtype=np.int64),
        label=Words.of(label),
        score=score,
        value=value,
        output_valid=valid,
        numeric=features.numeric,
        categorical={name: Words.of(column) for name, column in features.categorical.items()},
    )


def _labels(rows: Rows, at: FloatArray, places: Sequence[int]) -> LabelBlock:
    chosen = [rows.rows[i] for i in places]
    models = Words.of([*map(_MODEL, chosen)])
    request, label, value, source = zip(*map(LABEL, chosen), strict=True)
    return LabelBlock(
        models=models.words,
        model=models.codes,
        at=at[places],
        seq=np.array([rows.seq[i] for i in places], dtype=np.int64),
        key=keys_of(request),
        request_id=objects(request),
        label=Words.of(label),
        value=floats(value),
        source=Words.of(source).if_any(),
    )
