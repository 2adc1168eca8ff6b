"""The reference: what a model's inputs and outputs looked like when all was well."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

BINS = 32  # quantile bins of a numeric feature or score; the first and last are open to infinity
CATEGORIES = 63  # categories kept by name; one more bin holds all others
FEATURES = 512  # features profiled
JOINT_FEATURES = 32  # features of which is known how they go together


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


class Joint(msgspec.Struct, frozen=True):
    """How numeric features go together, as normal scores of their bins, in `n` rows.

    `correlation` (P, P) is that of each pair of `names`; `directions` (P, K) are those that the
    principal components leave over, in units of their standard deviation; `residual` profiles
    the squared length of rows along them.
    """

    n: int
    names: tuple[str, ...]
    correlation: tuple[tuple[float, ...], ...]
    directions: tuple[tuple[float, ...], ...]
    residual: NumericProfile


class Profile(msgspec.Struct, frozen=True, cache_hash=True):
    """A small, stored sketch of the reference data of one model.

    `task` says what the model answers. `classes` are its labels with their counts; the first of
    `positive` decides precision, recall and AUC. `score` and `value` profile the output where
    the model gives one. `joint` is what is known of its features together, where that was asked
    for.
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
    joint: Joint | None = None


def digest(profile: Profile) -> str:
    """Tells references apart, whichever model and version they are given to."""
    whole = msgspec.msgpack.encode(msgspec.structs.replace(profile, model="", version=""))
    return blake2b(whole, digest_size=16).hexdigest()
