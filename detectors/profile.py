"""The reference: what a model's inputs and outputs looked like when all was well."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

BINS = 32  # quantile bins of a numeric feature or score; the first and last are open to infinity
CATEGORIES = 63  # categories kept by name; one more bin holds all others
FEATURES = 512  # features profiled


class NumericProfile(msgspec.Struct, frozen=True):
    """A numeric column: `edges` (ascending, at most BINS - 1) cut it into bins that hold
    `counts`; a value equal to an edge belongs to the bin above it. `centre` and `scale` (> 0) put
    it on the fixed-point scale; `low` and `high` are the extremes seen; `missing` counts the
    absent and infinite values of `n` rows. All numbers are finite; where every value is missing
    they are zeros (`scale` 1)."""

    name: str
    n: int
    missing: int
    centre: float
    scale: float
    low: float
    high: float
    mean: float
    sd: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class CategoricalProfile(msgspec.Struct, frozen=True):
    """A categorical column: the most frequent `categories` with their `counts`, and `other`, the
    count of values beyond them."""

    name: str
    n: int
    missing: int
    categories: tuple[str, ...]
    counts: tuple[int, ...]
    other: int = 0


class Profile(msgspec.Struct, frozen=True, cache_hash=True):
    """A small, stored sketch of the reference data of one model.

    `task` says what the model answers. `classes` are its labels with their counts; the first of
    `positive` decides precision, recall and AUC. `score` and `value` profile the output where
    the model gives one.
    """

    model: str
    version: str
    source: Literal["learned", "imported"]
    n: int
    since: float
    until: float
    task: Literal["binary", "multiclass", "regression", "unknown"]
    numeric: tuple[NumericProfile, ...] = ()
    categorical: tuple[CategoricalProfile, ...] = ()
    classes: CategoricalProfile | None = None
    positive: str | None = None
    score: NumericProfile | None = None
    value: NumericProfile | None = None
    layout: int = 1


def digest(profile: Profile) -> str:
    """Tells references apart, whichever model and version they are given to."""
    whole = msgspec.msgpack.encode(msgspec.structs.replace(profile, model="", version=""))
    return blake2b(whole, digest_size=16).hexdigest()
