"""The fields of bare JSON predictions and labels, and the columns that the kernels fill."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from watchkeeper.daemon.transport.codec.fast_words import Array

# Which object a name belongs to.
PREDICTION, TRUTH, ANSWER, FEATURES, SCOPES = 0, 1, 2, 3, 4
# Fields, whichever object they are in.
ID, TIME, MODEL_NAME, MODEL_VERSION, REQUEST, INPUTS, OUTPUT, DURATION = 0, 1, 2, 3, 4, 5, 6, 7
STATUS, ERROR_TYPE, ENTITY, SOURCE, SEGMENT, SAMPLE_RATE, TRACE, SCHEMA = (
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
)
SAID, SCORE, VALUE, PROBABILITIES, KIND, FEATURE = 16, 17, 18, 19, 20, 21

_BOTH = {"id": ID, "time": TIME, "model_name": MODEL_NAME, "request_id": REQUEST}
_BOTH |= {"source": SOURCE, "schema": SCHEMA}
_PREDICTION = _BOTH | {"model_version": MODEL_VERSION, "features": INPUTS, "prediction": OUTPUT}
_PREDICTION |= {"duration_s": DURATION, "status": STATUS, "error_type": ERROR_TYPE}
_PREDICTION |= {"entity_id": ENTITY, "segment": SEGMENT, "sample_rate": SAMPLE_RATE}
_PREDICTION |= {"traceparent": TRACE}
_TRUTH = _BOTH | {"label": SAID, "value": VALUE, "kind": KIND}
_ANSWER = {"label": SAID, "score": SCORE, "value": VALUE, "probabilities": PROBABILITIES}
FIXED = [
    (scope, field, name)
    for scope, fields in ((PREDICTION, _PREDICTION), (TRUTH, _TRUTH), (ANSWER, _ANSWER))
    for name, field in fields.items()
]


def _bits(*fields: int) -> int:
    return sum(1 << field for field in fields)


NEEDED_OF_TRUTH = _bits(ID, TIME, MODEL_NAME, REQUEST)
NEEDED = NEEDED_OF_TRUTH | _bits(MODEL_VERSION)
MAY_BE_NULL = _bits(
    DURATION, ERROR_TYPE, ENTITY, SOURCE, TRACE, SCHEMA, SAID, SCORE, VALUE, PROBABILITIES
)
# The rows of `Out.numbers`.
TIME_AT, DURATION_AT, SCORE_AT, VALUE_AT = 0, 1, 2, 3
# The places of `Out.used`; the first two and the last are columns of `Out.places`.
NUMERIC, TEXTS, TAKEN, UNKNOWN = 0, 1, 2, 3
LATEST = 2


class Out(NamedTuple):
    """The columns being filled, a row of an array each; only the first `used[TAKEN]` places of
    each hold events, and `rows` says which records these were.

    `numeric` and `texts` hold features: as many columns as `used` says. `places` has a row for the
    entry of each name: its numeric column, its column of texts (-1: none yet), and the last
    record that had it (-1: none);
    `used[UNKNOWN]` counts top-level fields that nobody knows.
    """

    rows: Array  # int64
    numbers: Array  # float64, (4, n): time, duration, score, value
    requests: Array  # int64, (2, n): start and end
    entities: Array  # int64, (2, n)
    keys: Array  # uint64, (2, n): of request and entity
    codes: Array  # int32, (4, n): model, version, label, and member or, of a truth, source
    status: Array  # int64
    valid: Array  # bool
    numeric: Array  # float64, (most, n)
    texts: Array  # int32, (most, n)
    places: Array  # int64, (entries, 4)
    used: Array  # int64


def out_of(n: int, most: int, entries: int) -> Out:
    """Columns for so many rows, with at most so many features of each type."""
    wide_by = n + 24  # so that the columns do not fall into the same lines of the cache
    return Out(
        np.empty(n, dtype=np.int64),
        np.empty((4, n), dtype=np.float64),
        np.empty((2, n), dtype=np.int64),
        np.empty((2, n), dtype=np.int64),
        np.empty((2, n), dtype=np.uint64),
        np.empty((4, n), dtype=np.int32),
        np.empty(n, dtype=np.int64),
        np.empty(n, dtype=np.bool_),
        np.empty((most, wide_by), dtype=np.float64),
        np.empty((most, wide_by), dtype=np.int32),
        np.full((entries, 4), -1, dtype=np.int64),
        np.zeros(4, dtype=np.int64),
    )
